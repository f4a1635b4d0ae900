# Brew: language models that rank, as Unix filters.
#
# Knobs (make print-config shows what was chosen):
#   CC, CFLAGS, LDFLAGS   compiler and flags          BUILD    where objects go (build)
#   PREFIX, DESTDIR       where install puts things   SAN=1    address and undefined-behaviour sanitizers
#   WERROR=0              warnings are not errors     V=1      show commands
#
# Targets: all check check-slow check-san lint demo bench fuzz install uninstall dist clean deps

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CFLAGS ?= -O2 -g
WERROR ?= 1
AR ?= ar

MACHINE := $(shell $(CC) -dumpmachine)
PKG := $(if $(filter x86_64%,$(MACHINE)),pkg-config,$(firstword $(MACHINE) )-pkg-config)
LIBS_REQUIRED := -ljansson -larchive -lz -lpcre2-8 -lutf8proc -lnettle
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wno-missing-field-initializers $(if $(filter 1,$(WERROR)),-Werror)
ALL_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -pthread -Ilib $(WARN) $(CFLAGS)
ifeq ($(SAN),1)
BUILD := $(BUILD)/san
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
LDLIBS := $(LIBS_REQUIRED) -lm

# Everything is found by its place: lib/FLOOR/*.c is the library, *_test.c beside it are its tests,
# cmd/brew-X.c are the commands, cmd/brew-X.t their tests. lib/kernel has one folder more.
SOURCES := $(wildcard lib/*/*.c lib/kernel/*/*.c)
LIB_SOURCES := $(filter-out %_test.c %_fuzz.c,$(SOURCES))
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

Q := $(if $(V),,@)

all: $(COMMANDS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libbrew.a: $(LIB_OBJECTS)
	$(Q)rm -f $@; $(AR) rcs $@ $^

$(BUILD)/bin/%: $(BUILD)/cmd/%.o $(BUILD)/libbrew.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/%_test: $(BUILD)/%_test.o $(BUILD)/libbrew.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

tests: $(UNIT_TESTS) $(COMMANDS)

# make check T="lib/io/json_test cmd/brew-eval.t" runs some of the tests.
check: tests
	$(Q)BUILD=$(abspath $(BUILD)) scripts/runtests $(T)

clean:
	rm -rf $(BUILD)

.PHONY: all tests check clean
.SECONDARY:
-include $(LIB_OBJECTS:.o=.d) $(CMD_SOURCES:%.c=$(BUILD)/%.d) $(TEST_SOURCES:%.c=$(BUILD)/%.d)
