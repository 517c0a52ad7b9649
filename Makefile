# jmapd. `make` builds, `make unit` runs the unit tests, `make install` installs,
# `make man` makes the manual pages.
#
#   BUILD=dir      where objects go (default: build)
#   SAN=address    or undefined, thread: a build with that sanitizer
#   CC=clang       gcc and clang both build without a warning

BUILD   ?= build$(if $(SAN),-$(SAN))
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

# Who may use whom. scripts/lint checks every #include against this list, and
# each test links with these and nothing else.
LAYERS := core/base core/io core/db core/mime core/store ipc conf \
	proto/http proto/ws proto/jmap proto/push proto/front proto/lmtp
DEPS_core/base  :=
DEPS_core/io    := core/base
DEPS_core/db    := core/base
DEPS_core/mime  := core/base
DEPS_core/store := core/db core/mime core/base
DEPS_ipc        := core/io core/base
DEPS_conf       := core/base
DEPS_proto/http := conf core/io core/base
DEPS_proto/ws   := proto/http conf core/io core/base
DEPS_proto/push := conf core/io core/base
DEPS_proto/jmap := conf core/store core/db core/mime core/io core/base
DEPS_proto/lmtp := proto/jmap conf core/store core/db core/mime core/io core/base
DEPS_proto/front := proto/jmap proto/ws proto/push proto/http conf core/store \
	core/db core/mime core/io core/base
DEPS_cmd/jmapd   := $(LAYERS)
DEPS_cmd/jmapctl := $(LAYERS)

PKGS   := libssl libcrypto libnghttp2 zlib json-c liburcu liburcu-cds sqlite3 \
	glib-2.0 yaml-0.1 libseccomp liburing
CFLAGS_PKGS := $(shell pkg-config --cflags $(PKGS) | sed 's/-I/-isystem /g')
LIBS   := $(shell pkg-config --libs $(PKGS)) -lcrypt -lpthread -lm

OPT    ?= -O2
WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wvla \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wundef \
	-Wformat=2 -Wno-unused-parameter -Wno-missing-field-initializers
CFLAGS  = -std=gnu17 $(OPT) -g -fno-omit-frame-pointer -fstack-protector-strong \
	-fno-strict-aliasing -pthread $(WARN) -I. -D_GNU_SOURCE \
	-DJMAPD_VERSION='"$(VERSION)"' $(CFLAGS_PKGS)
LDFLAGS = -pthread
ifneq ($(SAN),)
CFLAGS  += -fsanitize=$(SAN) -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SAN)
else
CFLAGS  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

objs = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c $(1)/*/*.c))
lib  = $(BUILD)/lib/$(subst /,-,$(1)).a

PROGRAMS := $(BUILD)/jmapd $(BUILD)/jmapctl
UNIT_SRC := $(wildcard test/unit/*/*.c test/unit/*/*/*.c)
UNIT     := $(patsubst test/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))

all: $(PROGRAMS) man

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

define LAYER
$(call lib,$(1)): $(call objs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS) cmd/jmapd cmd/jmapctl,$(eval $(call LAYER,$(l))))

define PROGRAM
$(BUILD)/$(1): $(call objs,cmd/$(1)) $(foreach l,$(LAYERS),$(call lib,$(l)))
	$$(CC) $$(LDFLAGS) -o $$@ $(call objs,cmd/$(1)) \
		-Wl,--start-group $(foreach l,$(LAYERS),$(call lib,$(l))) \
		-Wl,--end-group $$(LIBS)
endef
$(foreach p,jmapd jmapctl,$(eval $(call PROGRAM,$(p))))

# Manual pages stand beside what they describe; options and verbs in them come
# from the tables.
MAN := cmd/jmapd/jmapd.8 conf/jmapd.conf.5 cmd/jmapctl/jmapctl.1
man: $(foreach m,$(MAN),$(BUILD)/man/$(notdir $(m)))
$(BUILD)/man/options $(BUILD)/man/verbs: $(BUILD)/man/%: $(BUILD)/jmapctl
	@mkdir -p $(@D)
	$(BUILD)/jmapctl @man $* >$@.new
	@mv $@.new $@
define MANPAGE
$(BUILD)/man/$(notdir $(1)): $(1).in $(BUILD)/man/options $(BUILD)/man/verbs
	sed -e 's/@VERSION@/$(VERSION)/' \
		-e '/^@OPTIONS@$$$$/{r $(BUILD)/man/options' -e 'd}' \
		-e '/^@VERBS@$$$$/{r $(BUILD)/man/verbs' -e 'd}' $$< >$$@
endef
$(foreach m,$(MAN),$(eval $(call MANPAGE,$(m))))

# test/unit/core/io/loop.c links with core/io and what core/io may use. Its
# helpers (test/unit/*.h) are headers only.
define UNIT_TEST
$(BUILD)/unit/$(1): $(BUILD)/test/unit/$(1).o \
		$(foreach l,$(patsubst %/,%,$(dir $(1))),$(call lib,$(l)) \
		$(foreach d,$(DEPS_$(l)),$(call lib,$(d))))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) \
		-Wl,--end-group -lcmocka $$(LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call UNIT_TEST,$(patsubst test/unit/%.c,%,$(t)))))

# Another reader of what we read and write.
$(BUILD)/test/unit/core/mime/%.o: CFLAGS += $(shell pkg-config --cflags \
	gmime-3.0 | sed 's/-I/-isystem /g')
$(BUILD)/unit/core/mime/%: LIBS += $(shell pkg-config --libs gmime-3.0)

# `make unit` runs all; `make unit-ipc`, `make unit-core-io` one folder's.
unit: $(UNIT)
	@sh scripts/run-unit $(UNIT)
define UNIT_DIR
unit-$(subst /,-,$(1)): $(filter $(BUILD)/unit/$(1)/%,$(UNIT))
	@sh scripts/run-unit $$^
endef
$(foreach l,$(LAYERS) cmd/jmapd cmd/jmapctl,$(eval $(call UNIT_DIR,$(l))))

print-%:
	@echo '$($*)'

install: all
	install -D -m 755 $(BUILD)/jmapd $(DESTDIR)$(PREFIX)/sbin/jmapd
	install -D -m 755 $(BUILD)/jmapctl $(DESTDIR)$(PREFIX)/bin/jmapctl
	for m in jmapd.8 jmapd.conf.5 jmapctl.1; do install -D -m 644 \
		$(BUILD)/man/$$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m \
		|| exit 1; done
	install -D -m 644 conf/fail2ban-jmapd.conf \
		$(DESTDIR)$(PREFIX)/share/doc/jmapd/fail2ban-jmapd.conf
	[ -e $(DESTDIR)/etc/jmapd.conf ] || \
		install -D -m 644 conf/jmapd.conf $(DESTDIR)/etc/jmapd.conf

clean:
	rm -rf $(BUILD)

# ---- fuzzers and benchmarks: test/fuzz/smoke and scripts/bench run them -------
# libFuzzer is clang's, so `make fuzz` builds all it needs anew beside the rest.
FUZZ       := $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/*.c))
FUZZ_SAN   := fuzzer-no-link,address,undefined
FUZZ_DIR   ?= $(BUILD)/fuzz
BENCH      := $(patsubst test/bench/%.c,$(BUILD)/bench/%,$(wildcard test/bench/*.c))

fuzz:
	$(MAKE) CC=clang BUILD=$(BUILD)/fuzz/obj SAN=$(FUZZ_SAN) \
		FUZZ_DIR=$(BUILD)/fuzz $(FUZZ:%=$(BUILD)/fuzz/%)

$(FUZZ:%=$(FUZZ_DIR)/%): $(FUZZ_DIR)/%: $(BUILD)/test/fuzz/%.o \
		$(foreach l,$(LAYERS),$(call lib,$(l)))
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< -Wl,--start-group \
		$(filter %.a,$^) -Wl,--end-group $(LIBS)
# Parts of the programs; a main() is there already, so theirs stay out.
$(FUZZ_DIR)/mbox $(FUZZ_DIR)/tar: $(call lib,cmd/jmapctl)
$(FUZZ_DIR)/transfer: $(call lib,cmd/jmapd)

# ---- what fault tests put into a role's place ---------------------------------
HOSTILE := $(BUILD)/fault/hostile
fault-programs: $(HOSTILE)

$(HOSTILE): $(call objs,test/fault/hostile) $(call lib,cmd/jmapd) \
		$(foreach l,ipc conf core/io core/base,$(call lib,$(l)))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group \
		$(filter %.a,$^) -Wl,--end-group $(LIBS)

bench: all $(BENCH)

$(BUILD)/bench/%: $(BUILD)/test/bench/%.o $(call objs,test/bench/lib) \
		$(foreach l,ipc core/io core/mime core/base,$(call lib,$(l)))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: all man unit install clean fuzz bench fault-programs \
	$(foreach l,$(LAYERS) cmd/jmapd cmd/jmapctl,unit-$(subst /,-,$(l)))
.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
