/*
 * gbt.h
 *		What the module cdp_gbt offers: training of boosted trees by XGBoost.
 *
 * The module is loaded on first use (gbt_train.c), so that a server without
 * XGBoost can use all the rest, prediction by boosted trees included.  It calls
 * nothing of the server.
 */
#ifndef CDP_GBT_H
#define CDP_GBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GBT_MODULE	"$libdir/cdp_gbt"
#define GBT_INTERFACE_FUNCTION	"cdp_gbt_interface"
#define GBT_INTERFACE_VERSION	1

typedef struct GbtRequest
{
	const float *matrix;		/* rows one after the other; NaN is missing */
	const float *labels;
	const float *weights;
	uint64_t	rows;
	uint64_t	columns;
	uint64_t	checked;		/* so many first rows are predicted and explained */
	const char *const *parameters;	/* names and values in turn, NULL at the end */
	int			trees;
	bool		(*interrupted) (void);	/* asked before each tree */
} GbtRequest;

typedef struct GbtResult
{
	const char *model;			/* JSON of XGBoost, with its length */
	size_t		length;
	const float *margins;		/* of the checked rows */
	const float *contributions; /* of the checked rows, columns + 1 each */
	void	   *handle;			/* all that is to be freed */
	char		message[512];
} GbtResult;

typedef enum GbtStatus
{
	GBT_OK,
	GBT_INTERRUPTED,
	GBT_FAILED					/* message says why */
} GbtStatus;

typedef struct GbtInterface
{
	int			interface_version;
	GbtStatus	(*train) (const GbtRequest *request, GbtResult *result);
	void		(*release) (GbtResult *result);
} GbtInterface;

typedef const GbtInterface *(*GbtInterfaceFunction) (void);

#endif							/* CDP_GBT_H */
