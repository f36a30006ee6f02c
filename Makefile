EXTENSION  = cdp
MODULE_big = cdp
EXTVERSION = $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" cdp.control)
CAPABILITIES = setup identity
SCRIPTS_SQL = $(CAPABILITIES:%=sql/%.sql)
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/*/*.c))
DATA = $(wildcard sql/cdp--*--*.sql)
DATA_built = sql/cdp--$(EXTVERSION).sql
PG_CPPFLAGS = -Isrc -DCDP_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -fvisibility=hidden
with_llvm = no
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
sql/cdp--$(EXTVERSION).sql: $(SCRIPTS_SQL) cdp.control
	cat $(SCRIPTS_SQL) > $@
