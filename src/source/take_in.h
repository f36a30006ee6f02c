/*
 * take_in.h
 *		What is known of cdp.take_in elsewhere.
 */
#ifndef CDP_SOURCE_TAKE_IN_H
#define CDP_SOURCE_TAKE_IN_H

/*
 * With so few keys, cdp.take_in lets others write at the same time; locks.c says
 * how many locks that takes.
 */
#define TAKE_IN_REALTIME_KEYS	100

#endif							/* CDP_SOURCE_TAKE_IN_H */
