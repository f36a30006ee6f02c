/*
 * bandit_core.h
 *		Which of several actions to take next: what each has earned so far, and
 *		draws from what is believed of them.  In C that needs no running server.
 *
 * An arm is an action by name.  Its reward for each trial is between 0 and 1, and
 * what is believed of its mean reward is a Beta distribution: Beta(p + rewards,
 * q + trials - rewards), with the prior Beta(p, q).
 */
#ifndef CDP_SCORE_BANDIT_CORE_H
#define CDP_SCORE_BANDIT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BANDIT_VERSION		1
#define BANDIT_MAX_ARMS		1000
#define BANDIT_MAX_NAME		255
#define BANDIT_MAX_TRIALS	INT64_C(1000000000000)
#define BANDIT_MICROS		1000000 /* rewards are kept in millionths */

/* An arm; the name is not terminated by a zero. */
typedef struct BanditArm
{
	int64_t		trials;
	int64_t		reward;			/* in millionths, from 0 to trials */
	uint32_t	length;
	char		name[];
} BanditArm;

/*
 * A state as it is stored and worked on: a varlena whose first four bytes are the
 * server's, aligned to eight bytes.  Arms are in bytewise order of their names,
 * each aligned to eight bytes, and nothing follows the last one.
 */
typedef struct BanditState
{
	int32_t		length;			/* the server's */
	uint8_t		version;
	uint8_t		zero[3];
	uint32_t	count;
	uint32_t	used;			/* bytes of the arms */
	char		arms[];
} BanditState;

/* What is believed of an arm: the parameters of its distribution. */
typedef struct BanditBelief
{
	double		alpha;
	double		beta;
} BanditBelief;

/* Asked now and then in long computations: whether to stop. */
typedef bool (*BanditInterrupted) (void);

extern const char *bandit_check(const BanditState *state, size_t size);
extern size_t bandit_arm_size(size_t length);
extern BanditArm *bandit_arm(const BanditState *state, size_t offset);
extern BanditArm *bandit_find(const BanditState *state, const char *name, size_t length, size_t *offset);
extern bool bandit_add(BanditArm *arm, int64_t trials, int64_t reward);
extern BanditArm *bandit_insert(BanditState *state, size_t offset, const char *name, size_t length);
extern size_t bandit_merged_size(const BanditState *a, const BanditState *b);
extern bool bandit_merge(BanditState *result, const BanditState *a, const BanditState *b);

extern const char *bandit_measure_wire(const uint8_t *bytes, size_t length, size_t *size);
extern void bandit_read_wire(const uint8_t *bytes, size_t length, BanditState *state);

extern double bandit_draw(uint64_t seed, const BanditBelief *belief);
extern bool bandit_best_room(const BanditBelief *beliefs, int count, size_t *points);
extern bool bandit_best(const BanditBelief *beliefs, int count, double *points, double *scratch,
						double *best, BanditInterrupted interrupted);
#define BANDIT_SCRATCH(count)	(20 * (size_t) (count) + 20)

#endif							/* CDP_SCORE_BANDIT_CORE_H */
