# PostgreSQL with cdp to offer: CREATE EXTENSION cdp in a database of it.
#
#   docker build --build-arg PG_MAJOR=17 -t cdp .

ARG PG_MAJOR=17
FROM postgres:${PG_MAJOR}-trixie AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
	make gcc g++ postgresql-server-dev-${PG_MAJOR} libidn2-dev libunistring-dev liblbfgs-dev libroaring-dev libphonenumber-dev libxgboost-dev
COPY . /cdp
RUN make -C /cdp -j"$(nproc)" with_llvm=no && make -C /cdp with_llvm=no install DESTDIR=/installed

FROM postgres:${PG_MAJOR}-trixie
RUN apt-get update && apt-get install -y --no-install-recommends libidn2-0 libunistring5 liblbfgs0 libroaring0t64 libphonenumber8 libxgboost0 && \
	rm -rf /var/lib/apt/lists/*
COPY --from=build /installed /
