# Brew: language models that rank, as Unix filters.
#
# Knobs (make print-config shows what was chosen):
#   CC, CFLAGS, LDFLAGS   compiler and flags          BUILD    where objects go (build)
#   PREFIX, DESTDIR       where install puts things   SAN=1    address and undefined-behaviour sanitizers
#   WERROR=0              warnings are not errors     V=1      show commands
#   MPI=1, MPI=0          with the plug-in for MPI, or without (with it if MPICC, mpicc, is there)
#
# Targets: all check check-slow check-san lint demo bench fuzz install uninstall dist clean deps

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CFLAGS ?= -O2 -g
WERROR ?= 1
AR ?= ar

# on a fresh machine the compiler is only about to be installed
MACHINE := $(or $(shell $(CC) -dumpmachine 2>/dev/null),$(shell uname -m))
LIBS_REQUIRED := -ljansson -larchive -lz -lpcre2-8 -lnettle
# only what repairs a cut needs it: --as-needed keeps it away from the other commands
LIBS_SOLVE := -Wl,--as-needed -lopenblas
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wno-missing-field-initializers -Wno-psabi $(if $(filter 1,$(WERROR)),-Werror)
ALL_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -pthread -Ilib $(WARN) $(CFLAGS)
ifeq ($(SAN),1)
override BUILD := $(BUILD)/san
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
LDLIBS := $(LIBS_REQUIRED) $(LIBS_SOLVE) -lm -ldl

# Everything is found by its place: lib/FLOOR/*.c is the library, *_test.c beside it are its tests,
# cmd/brew-X.c are the commands, cmd/brew-X.t their tests. lib/kernel has one folder more.
# What is loaded at run time, lib/train/wire_mpi.c, is no part of it: it has what it needs from its own compiler.
SOURCES := $(wildcard lib/*/*.c lib/*/*/*.c)
LIB_SOURCES := $(filter-out %_test.c %_fuzz.c %_mpi.c,$(SOURCES))
TEST_SOURCES := $(filter %_test.c,$(SOURCES))
CMD_SOURCES := $(wildcard cmd/brew-*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
COMMANDS := $(CMD_SOURCES:cmd/%.c=$(BUILD)/bin/%)
UNIT_TESTS := $(TEST_SOURCES:%.c=$(BUILD)/%)

# A kernel source is compiled for the instruction set its name ends in; elsewhere it is empty.
ifneq ($(filter x86_64%,$(MACHINE)),)
$(BUILD)/%_avx2.o: ALL_CFLAGS += -mavx2 -mfma
$(BUILD)/%_avx512.o: ALL_CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
$(BUILD)/%_avx512bf16.o: ALL_CFLAGS += -mavx512bf16 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
$(BUILD)/%_avx512vbmi2.o: ALL_CFLAGS += -mavx512vbmi2 -mavx512vbmi -mavx512f -mavx512bw -mavx512dq -mavx512vl -mbmi2 -msse4.2 -mavx2
endif

# A compiler for another machine would be given this one's MPI.
MPICC ?= mpicc
MPI ?= $(if $(filter $(shell uname -m)-%,$(MACHINE)),$(if $(shell command -v $(MPICC) 2>/dev/null),1))
PLUGINS := $(if $(filter 1,$(MPI)),$(BUILD)/lib/brew/brew-mpi.so)

Q := $(if $(V),,@)

all: $(COMMANDS) $(PLUGINS)

# The build only says what is missing; check and demo, which README names to newcomers, install it.
DEPS := build
check check-slow check-san demo deps: INSTALL_DEPS := --install
$(BUILD)/.deps: scripts/deps
	@mkdir -p $(@D)
	$(Q)CC="$(CC)" scripts/deps $(INSTALL_DEPS) $(DEPS)
	@touch $@

$(BUILD)/%.o: %.c Makefile | $(BUILD)/.deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libbrew.a: $(LIB_OBJECTS)
	$(Q)rm -f $@; $(AR) rcs $@ $^

$(BUILD)/bin/%: $(BUILD)/cmd/%.o $(BUILD)/libbrew.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/%_test: $(BUILD)/%_test.o $(BUILD)/libbrew.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Found by the commands beside their own folder: bin/../lib/brew. The wrapper is told which compiler to wrap.
$(BUILD)/lib/brew/brew-mpi.so: lib/train/wire_mpi.c lib/train/wire.h lib/base/err.h Makefile
	@mkdir -p $(@D)
	$(Q)OMPI_CC="$(CC)" MPICH_CC="$(CC)" $(MPICC) $(ALL_CFLAGS) -shared -fPIC $(LDFLAGS) $< -o $@
plugins: $(PLUGINS)

tests: $(UNIT_TESTS) $(COMMANDS) $(PLUGINS) $(BUILD)/scripts/world/jobs-world

# make check T="lib/io/json_test cmd/brew-eval.t" runs some of the tests.
check: tests
	$(Q)scripts/deps --install tools
	$(Q)$(MAKE) --no-print-directory plugins # MPI may have come with the tools
	$(Q)BUILD=$(abspath $(BUILD)) scripts/runtests $(T)

# Long sweeps, the suite at every kernel level of this machine, and on aarch64 under qemu.
check-slow: tests
	$(Q)scripts/deps --install tools
	$(Q)BUILD=$(abspath $(BUILD)) BREW_SLOW=1 scripts/runtests $(T)
	$(Q)BUILD=$(abspath $(BUILD)) scripts/check-levels
	$(Q)scripts/check-arm

check-san:
	$(Q)$(MAKE) --no-print-directory SAN=1 BUILD=$(BUILD) check

# MODEL=PATH shows another model; the default is fetched once into the cache.
MODEL ?=
demo: all
	$(Q)scripts/deps --install demo
	$(Q)BUILD=$(abspath $(BUILD)) scripts/demo $(MODEL)

deps:
	$(Q)CC="$(CC)" scripts/deps --install build tools lint cross demo

lint: all
	$(Q)scripts/lint $(abspath $(BUILD))/bin

bench: all
	$(Q)BUILD=$(abspath $(BUILD)) scripts/bench/run

# make bench-kernels K="avx512 f32 2": the kernels alone, at one level.
bench-kernels: $(BUILD)/scripts/bench/kernels
	$(Q)$< $(K)
$(BUILD)/scripts/bench/kernels: $(BUILD)/scripts/bench/kernels.o $(BUILD)/libbrew.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# A jobs world, for experiments: build/scripts/world/jobs-world -o DIR -n 1000000.
world: $(BUILD)/scripts/world/jobs-world
$(BUILD)/scripts/world/jobs-world: $(BUILD)/scripts/world/jobs-world.o $(BUILD)/scripts/world/world.o \
    $(BUILD)/libbrew.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

print-config:
	@echo "CC       $(CC) ($(MACHINE))"
	@echo "CFLAGS   $(ALL_CFLAGS)"
	@echo "LDLIBS   $(LDLIBS)"
	@echo "MPI      $(if $(PLUGINS),$(MPICC),none)"
	@echo "BUILD    $(BUILD)"
	@echo "PREFIX   $(PREFIX)"

MAN_PAGES := $(wildcard man/*.[1-9])
COMPLETIONS := $(notdir $(COMMANDS))
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(COMMANDS) $(DESTDIR)$(PREFIX)/bin
	for plugin in $(PLUGINS); do \
	    install -D -m 644 $$plugin $(DESTDIR)$(PREFIX)/lib/brew/$${plugin##*/} || exit 1; done
	for page in $(MAN_PAGES); do \
	    install -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} || exit 1; done
	for name in $(COMPLETIONS); do \
	    $(BUILD)/bin/$$name --completion \
	        >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name || exit 1; done

uninstall:
	for name in $(COMPLETIONS); do rm -f $(DESTDIR)$(PREFIX)/bin/$$name \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name; done
	rm -f $(DESTDIR)$(PREFIX)/lib/brew/brew-mpi.so
	for page in $(MAN_PAGES); do \
	    rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done

# Fuzz each parser for a minute, or one of them: make fuzz FUZZ=lib/io/gguf_fuzz.c FUZZTIME=600 (clang's libFuzzer).
FUZZ ?= $(wildcard lib/*/*_fuzz.c lib/*/*/*_fuzz.c)
FUZZTIME ?= 60
fuzz:
	$(Q)$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/fuzz \
	    CFLAGS="-g -O1 -fsanitize=fuzzer-no-link,address,undefined" $(BUILD)/fuzz/libbrew.a
	$(Q)for f in $(FUZZ); do n=$$(basename $$f .c); mkdir -p $(BUILD)/fuzz/$$n.corpus; \
	    clang -g -O1 -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -pthread -Ilib \
	        -fsanitize=fuzzer,address,undefined $$f $(BUILD)/fuzz/libbrew.a $(LDLIBS) \
	        -o $(BUILD)/fuzz/$$n && \
	    $(BUILD)/fuzz/$$n -max_total_time=$(FUZZTIME) $(BUILD)/fuzz/$$n.corpus || exit 1; done

dist:
	git archive --prefix=brew-$(VERSION)/ -o $(BUILD)/brew-$(VERSION).tar.gz HEAD

clean:
	rm -rf $(BUILD)

.PHONY: all tests plugins check check-slow check-san demo deps lint bench bench-kernels world print-config install uninstall fuzz \
        dist clean
.SECONDARY:
-include $(LIB_OBJECTS:.o=.d) $(CMD_SOURCES:%.c=$(BUILD)/%.d) $(TEST_SOURCES:%.c=$(BUILD)/%.d) \
         $(wildcard $(BUILD)/scripts/*/*.d)
