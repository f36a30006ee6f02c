/*
 * worker.h
 *		The background worker, as the module's initialisation knows it.
 */
#ifndef CDP_SEGMENT_WORKER_H
#define CDP_SEGMENT_WORKER_H

extern void worker_init(void);

#endif							/* CDP_SEGMENT_WORKER_H */
