# Builds, installs and tests cdp.  What most people need:
#
#   make demo      see what it does, on a throwaway server
#   make test      run every test, on a throwaway server
#   make           build against the PostgreSQL that PG_CONFIG names
#   make install   install there; then CREATE EXTENSION cdp in a database
#
# demo and test install what they need on Debian and touch no existing cluster.
# make help lists the rest.

EXTENSION  = cdp
MODULE_big = cdp

# The version lives in cdp.control and nowhere else; everything else is
# generated from it or, where a file format forbids that, checked by make lint.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" cdp.control)

# The versioned install script is built from the capabilities' scripts, in this
# order; sql/<capability>_<part>.sql stand before sql/<capability>.sql.
CAPABILITIES = setup identity profile source trait segment score match privacy activation
SCRIPT_PARTS := $(foreach capability,$(CAPABILITIES),$(sort $(wildcard sql/$(capability)_*.sql)) $(wildcard sql/$(capability).sql))
VERSIONED_SCRIPT = sql/$(EXTENSION)--$(EXTVERSION).sql

DATA       = $(wildcard sql/$(EXTENSION)--*--*.sql)
DATA_built = $(VERSIONED_SCRIPT)

C_SOURCES := $(sort $(wildcard src/*.c src/*/*.c))
C_HEADERS := $(sort $(wildcard src/*.h src/*/*.h))
OBJS    = $(C_SOURCES:.c=.o)

# libphonenumber is C++; what touches it is a module of its own, which is loaded
# on first use, so that a server without the library can use all the rest.
PHONE_SOURCES := $(sort $(wildcard src/identity/phone*.cc))
PHONE_OBJS    = $(PHONE_SOURCES:.cc=.o)
PHONE_LIBS    = -lphonenumber

# So is XGBoost, which trains boosted trees; without its headers that module is
# left out, and cdp.train_gbt says so.
GBT_SOURCES := $(if $(wildcard /usr/include/xgboost/c_api.h /usr/local/include/xgboost/c_api.h),$(sort $(wildcard src/score/gbt*.cc)))
GBT_OBJS    = $(GBT_SOURCES:.cc=.o)
GBT_LIBS    = -lxgboost

WARNINGS     = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers $(if $(WERROR),-Werror) $(CLANG_WARNINGS)
# PostgreSQL hands over the flags of the compiler it was built with
CLANG_WARNINGS = $(if $(findstring clang,$(CC)),-Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes)
PG_CPPFLAGS  = -Isrc -DCDP_VERSION='"$(EXTVERSION)"' $(EXTRA_CPPFLAGS)
PG_CFLAGS    = $(WARNINGS) -Werror=implicit-function-declaration -fvisibility=hidden -MMD -MP $(EXTRA_CFLAGS)
PG_CXXFLAGS  = $(WARNINGS) -Wno-register -std=gnu++17 -fvisibility=hidden -fvisibility-inlines-hidden -MMD -MP $(EXTRA_CFLAGS)
SHLIB_LINK   = -lidn2 -llbfgs -lroaring -lunistring -lm $(EXTRA_LIBS)

REGRESS        = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
ISOLATION      = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
REGRESS_OPTS   = --inputdir=test --load-extension=$(EXTENSION)
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=$(EXTENSION)
TAP_TESTS      = $(if $(wildcard test/t/*.pl),1)
PROVE_TESTS    = test/t/*.pl
# Where TAP tests note the ports they use; the default is a folder of PostgreSQL's.
export PG_TEST_PORT_DIR = $(CURDIR)/tmp_check/portlock
EXTRA_CLEAN    = $(C_SOURCES:.c=.d) $(PHONE_OBJS) $(PHONE_SOURCES:.cc=.d) cdp_phone.so \
	$(patsubst %.cc,%.o,$(wildcard src/score/gbt*.cc)) $(patsubst %.cc,%.d,$(wildcard src/score/gbt*.cc)) cdp_gbt.so $(wildcard sql/$(EXTENSION)--?.?.?.sql) \
	results log output_iso tmp_check tmp_check_iso tmp_install build regression.diffs regression.out

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
SERVER_HEADER := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)

.DEFAULT_GOAL = all

ifneq ($(and $(wildcard $(PGXS)),$(SERVER_HEADER)),)

# Bitcode for JIT inlining needs the very clang that PostgreSQL was built with.
CLANG_OF_SERVER := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(origin with_llvm),undefined)
ifeq ($(and $(CLANG_OF_SERVER),$(shell command -v $(firstword $(CLANG_OF_SERVER) false))),)
override with_llvm = no
endif
endif

include $(PGXS)

-include $(C_SOURCES:.c=.d) $(PHONE_SOURCES:.cc=.d) $(GBT_SOURCES:.cc=.d)
$(OBJS:.o=.bc): $(C_HEADERS)
$(OBJS) $(OBJS:.o=.bc) $(PHONE_OBJS) $(GBT_OBJS): cdp.control

# The sums over rows of fits: loops that are worth vector instructions
src/score/lifetime_bg.o src/score/logit_core.o: override CFLAGS += -O3

ifneq ($(PHONE_SOURCES),)
all: cdp_phone.so
install: install-phone
uninstall: uninstall-phone

$(PHONE_OBJS): %.o: %.cc
	$(CXX) $(filter-out -Werror=%,$(CXXFLAGS)) $(PG_CXXFLAGS) $(CPPFLAGS) -fPIC -c -o $@ $<

cdp_phone.so: $(PHONE_OBJS)
	$(CXX) $(CXXFLAGS) -shared -o $@ $(PHONE_OBJS) $(LDFLAGS) $(PHONE_LIBS) $(EXTRA_LIBS)

.PHONY: install-phone uninstall-phone
install-phone: cdp_phone.so installdirs
	$(INSTALL_SHLIB) cdp_phone.so '$(DESTDIR)$(pkglibdir)/cdp_phone.so'

uninstall-phone:
	rm -f '$(DESTDIR)$(pkglibdir)/cdp_phone.so'
endif

ifneq ($(GBT_SOURCES),)
all: cdp_gbt.so
install: install-gbt
uninstall: uninstall-gbt

$(GBT_OBJS): %.o: %.cc
	$(CXX) $(filter-out -Werror=%,$(CXXFLAGS)) $(PG_CXXFLAGS) $(CPPFLAGS) -fPIC -c -o $@ $<

cdp_gbt.so: $(GBT_OBJS)
	$(CXX) $(CXXFLAGS) -shared -o $@ $(GBT_OBJS) $(LDFLAGS) $(GBT_LIBS) $(EXTRA_LIBS)

.PHONY: install-gbt uninstall-gbt
install-gbt: cdp_gbt.so installdirs
	$(INSTALL_SHLIB) cdp_gbt.so '$(DESTDIR)$(pkglibdir)/cdp_gbt.so'

uninstall-gbt:
	rm -f '$(DESTDIR)$(pkglibdir)/cdp_gbt.so'
endif

else

# Without the server's headers nothing can be built; say what is missing.  The
# targets below that install it themselves still work.
.PHONY: all install uninstall installcheck installdirs
all install uninstall installcheck installdirs:
	@test/lib/packages --hint
	@exit 1

.PHONY: clean distclean
clean distclean:
	rm -rf $(OBJS) $(EXTRA_CLEAN)

endif

$(VERSIONED_SCRIPT): $(SCRIPT_PARTS) cdp.control Makefile
	@{ printf '%s\n' '-- complain if script is sourced in psql, rather than via CREATE EXTENSION' \
		'\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit' '' \
		'SET LOCAL search_path TO pg_catalog, pg_temp;'; \
	for part in $(SCRIPT_PARTS); do printf '\n-- from %s\n\n' $$part; cat $$part; done; } > $@.tmp
	@mv $@.tmp $@

.PHONY: help demo demo-psql demo-stop demo-bi test test-bi test-ubsan bench lint format sql-reference dist deb
help:
	@sed -n 's/^#   \(make\)/  \1/p' Makefile
	@printf '%s\n' '  make demo-psql the demo, then psql on its server; make demo-stop ends that' \
		'  make demo-bi    its dashboard in Apache Superset; make test-bi looks at each chart' \
		'  make bench      run the measurements of docs/benchmarks.md' \
		'  make lint       check sources and scripts; make format formats the C sources' \
		'  make sql-reference write docs/sql-reference.md and dbt/models/cdp.yml from the comments of the catalogs' \
		'  make dist       the bundle for PGXN; make deb: Debian packages; both in build/' \
		'  make test-ubsan test a library that stops at undefined behaviour' \
		'  make installcheck  test the installed extension on a running server, by PGXS'

demo:
	@test/lib/packages
	@test/lib/server test/demo/run

# The same on a server that stays, with psql connected to it.
demo-psql:
	@test/lib/packages
	@test/demo/psql

demo-stop:
	@test/demo/psql --stop

# Superset from PyPI takes minutes to install, so this is no part of make test.
demo-bi:
	@test/lib/packages bi
	@test/bi/run

test-bi:
	@test/lib/packages bi
	@test/bi/run --check

test:
	@test/lib/packages
	@test/run

# In a build folder of its own, since the objects differ.
test-ubsan:
	@test/lib/packages
	@test/lib/ubsan

bench:
	@test/lib/packages
	@test/bench/run

lint:
	@test/lib/packages lint
	@test/lint

# Written beside the page first, so that a failure leaves it as it is.
sql-reference:
	@test/lib/packages
	@test/lib/server bash -eu -c "psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION cdp' -c 'SELECT cdp.setup()' >/dev/null; \
		perl test/lib/sql_reference.pl >docs/sql-reference.md.new; mv docs/sql-reference.md.new docs/sql-reference.md; \
		psql -XAtq -v ON_ERROR_STOP=1 -f test/dbt/views.sql >dbt/models/cdp.yml.new; mv dbt/models/cdp.yml.new dbt/models/cdp.yml"

format:
	@test/lib/packages lint
	python3 test/lib/format.py $(C_SOURCES) $(C_HEADERS) $(PHONE_SOURCES) $(wildcard src/score/gbt*.cc) $(wildcard test/fuzz/*.c test/fuzz/*.cc test/fuzz/*.h)

dist:
	@test/lib/dist

deb:
	@test/lib/deb
