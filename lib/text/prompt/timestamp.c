// Times in ms since 1970, from the three forms logs have them in.
#include "text/prompt/task.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

static const int64_t time_min = -62135596800000, time_max = 253402300799999; // years 1 to 9999

static bool in_range(int64_t ms, int64_t *out) {
    if (ms < time_min || ms > time_max) return false;
    *out = ms;
    return true;
}

// Up to three digits behind the point, the rest checked and cut; toward earlier times below zero.
static bool parse_seconds(const char *text, size_t len, int64_t *out) {
    bool minus = len && *text == '-';
    const char *point = memchr(text, '.', len);
    size_t whole_len = point ? (size_t)(point - text) : len;
    int64_t whole;
    if (!brew_parse_i64(text, whole_len, &whole)) return false;
    if (whole < time_min / 1000 - 1 || whole > time_max / 1000) return false;
    int64_t ms = 0, cut = 0;
    size_t digits = point ? len - whole_len - 1 : 0;
    if (point && !digits) return false;
    for (size_t i = 0; i < 3 || i < digits; i++) {
        char c = i < digits ? point[1 + i] : '0';
        if (c < '0' || c > '9') return false;
        if (i < 3)
            ms = ms * 10 + (c - '0');
        else
            cut |= c - '0';
    }
    return in_range(minus ? whole * 1000 - ms - (cut != 0) : whole * 1000 + ms, out);
}

typedef struct scan {
    const char *at, *end;
} scan;

// Exactly n digits.
static bool digits(scan *s, int n, int *out) {
    *out = 0;
    for (; n; n--, s->at++) {
        if (s->at >= s->end || *s->at < '0' || *s->at > '9') return false;
        *out = *out * 10 + (*s->at - '0');
    }
    return true;
}

static bool take(scan *s, const char *any) {
    if (s->at >= s->end || !*s->at || !strchr(any, *s->at)) return false;
    s->at++;
    return true;
}

// Days since 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the
// leap day comes last.
static int64_t days_of(int year, int month, int day) {
    int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool parse_date(scan *s, int64_t *days) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!digits(s, 4, &year) || !take(s, "-") || !digits(s, 2, &month) || !take(s, "-") ||
        !digits(s, 2, &day))
        return false;
    bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
    if (year < 1 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (leap && month == 2))
        return false;
    *days = days_of(year, month, day);
    return true;
}

static bool parse_clock(scan *s, int64_t *ms) {
    int hour, minute, second = 0, fraction = 0;
    if (!digits(s, 2, &hour) || !take(s, ":") || !digits(s, 2, &minute)) return false;
    if (take(s, ":")) {
        if (!digits(s, 2, &second)) return false;
        if (take(s, ".,")) {
            int digit, scale = 100;
            if (!digits(s, 1, &digit)) return false;
            do {
                fraction += digit * scale;
                scale /= 10;
            } while (digits(s, 1, &digit));
        }
    }
    if (hour > 23 || minute > 59 || second > 60)
        return false; // a leap second is the next minute's first
    *ms = ((hour * 60 + minute) * 60 + second) * (int64_t)1000 + fraction;
    return true;
}

// Z, " UTC", +hh:mm, +hhmm, +hh or nothing: ms to take away.
static bool parse_zone(scan *s, int64_t *ms) {
    *ms = 0;
    if (s->at == s->end || take(s, "Z")) return true;
    if (take(s, " ")) return take(s, "U") && take(s, "T") && take(s, "C");
    bool west = *s->at == '-';
    int hour, minute = 0;
    if (!take(s, "+-") || !digits(s, 2, &hour)) return false;
    if (s->at < s->end) {
        take(s, ":");
        if (!digits(s, 2, &minute)) return false;
    }
    if (hour > 23 || minute > 59) return false;
    *ms = (west ? -1 : 1) * (hour * 60 + minute) * (int64_t)60000;
    return true;
}

static bool parse_iso(const char *text, size_t len, int64_t *out) {
    scan s = {text, text + len};
    int64_t days, clock = 0, zone = 0;
    if (!parse_date(&s, &days)) return false;
    if (s.at < s.end && (!take(&s, "T ") || !parse_clock(&s, &clock) || !parse_zone(&s, &zone)))
        return false;
    return s.at == s.end && in_range(days * 86400000 + clock - zone, out);
}

// A number of one or more digits, at most max.
static bool number(scan *s, int max, int *out) {
    int digit;
    *out = 0;
    if (s->at == s->end || *s->at < '0' || *s->at > '9') return false;
    while (digits(s, 1, &digit))
        if ((*out = *out * 10 + digit) > max) return false;
    return true;
}

// 11/15/2019 8:55:22 AM; without AM or PM hours go to 23, seconds may be missing. Checked as ISO 8601.
static bool parse_mdy(const char *text, size_t len, int64_t *out) {
    scan s = {text, text + len};
    int month, day, year, hour, minute, second = 0;
    if (!number(&s, 12, &month) || !take(&s, "/") || !number(&s, 31, &day) || !take(&s, "/") ||
        !digits(&s, 4, &year) || !take(&s, " ") || !number(&s, 23, &hour) || !take(&s, ":") ||
        !digits(&s, 2, &minute) || (take(&s, ":") && !digits(&s, 2, &second)))
        return false;
    if (take(&s, " ")) {
        bool pm = s.at < s.end && (*s.at == 'P' || *s.at == 'p');
        if (!take(&s, "APap") || !take(&s, "Mm") || hour < 1 || hour > 12) return false;
        hour = hour % 12 + 12 * pm;
    }
    char iso[64];
    int n = snprintf(iso, sizeof iso, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, hour,
                     minute, second);
    return s.at == s.end && parse_iso(iso, (size_t)n, out);
}

bool brew_time_parse(const char *text, size_t len, enum brew_time_unit unit, int64_t *out_ms) {
    int64_t ms;
    switch (unit) {
    case BREW_TIME_S:
        return parse_seconds(text, len, out_ms);
    case BREW_TIME_MS:
        return brew_parse_i64(text, len, &ms) && in_range(ms, out_ms);
    case BREW_TIME_MDY:
        return parse_mdy(text, len, out_ms);
    case BREW_TIME_ROW:
        break;
    case BREW_TIME_ISO:
        return parse_iso(text, len, out_ms);
    }
    return false;
}
