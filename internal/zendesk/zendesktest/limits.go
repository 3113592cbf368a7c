package zendesktest

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits are requests a clock minute; 0 means the default in the comment, a
// negative number no limit.
type Limits struct {
	Account      int // 700, everything together
	Incremental  int // 10, all of /incremental/ but the users cursor
	UsersCursor  int // 20
	Search       int // 2500, search and users/search
	SearchExport int // 100
	TicketUpdate int // 100, PUT tickets, the account's together
	// TicketUpdateEach is 30 in ten minutes for one user and ticket.
	TicketUpdateEach int
	// Off switches all limits off, and leaves the headers out.
	Off bool
	// OmitRetryAfter leaves Retry-After out of a 429, as has been seen.
	OmitRetryAfter bool
}

// Ample are limits that nobody reaches, with headers that say so: unlike with
// Off, a client that keeps to what it is told need not hold back.
func Ample() Limits {
	const plenty = 1_000_000
	return Limits{
		Account: plenty, Incremental: plenty, UsersCursor: plenty, Search: plenty,
		SearchExport: plenty, TicketUpdate: plenty, TicketUpdateEach: plenty,
	}
}

type bucket uint8

const (
	noBucket bucket = iota
	accountBucket
	incrementalBucket
	usersCursorBucket
	searchBucket
	searchExportBucket
	ticketUpdateBucket
	bucketCount
)

// bucketHeaders name the buckets in zendesk-ratelimit-<name>. Only that of
// the incremental exports is documented; the others are in its manner.
var bucketHeaders = [bucketCount]string{
	incrementalBucket:  "Zendesk-Ratelimit-Incremental-Exports",
	usersCursorBucket:  "Zendesk-Ratelimit-Incremental-Exports-Users-Cursor",
	searchBucket:       "Zendesk-Ratelimit-Search-Index",
	searchExportBucket: "Zendesk-Ratelimit-Search-Export",
	ticketUpdateBucket: "Zendesk-Ratelimit-Tickets-Update",
}

const eachWindow = 10 * time.Minute

// limiter counts requests by clock minute, each bucket for itself.
type limiter struct {
	mu     sync.Mutex
	cfg    Limits
	most   [bucketCount]int
	minute int64
	used   [bucketCount]int
	window int64 // of ten minutes
	each   map[updater]int
}

type updater struct {
	user   int64
	ticket string
}

func (l *limiter) init(cfg Limits) {
	or := func(n, otherwise int) int {
		if n == 0 {
			return otherwise
		}
		return n
	}
	l.cfg = cfg
	l.cfg.TicketUpdateEach = or(cfg.TicketUpdateEach, 30)
	l.most = [bucketCount]int{
		noBucket: -1, accountBucket: or(cfg.Account, 700), incrementalBucket: or(cfg.Incremental, 10),
		usersCursorBucket: or(cfg.UsersCursor, 20), searchBucket: or(cfg.Search, 2500),
		searchExportBucket: or(cfg.SearchExport, 100), ticketUpdateBucket: or(cfg.TicketUpdate, 100),
	}
	l.each = map[updater]int{}
}

// verdict is what the limits say to one request.
type verdict struct {
	refusal *reply // nil: go on
	off     bool
	account gauge
	own     gauge
	bucket  bucket
}

type gauge struct{ most, left, resets int }

// take counts a request in. A refused one counts towards nothing but the
// account, which has seen it.
func (l *limiter) take(now time.Time, b bucket, user int64, ticket string) verdict {
	if l.cfg.Off {
		return verdict{off: true}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := now.Unix() / 60; m != l.minute {
		l.minute, l.used = m, [bucketCount]int{}
	}
	resets := int(60 - now.Unix()%60)
	v := verdict{bucket: b}
	switch {
	case !l.spend(accountBucket):
		v.refuse(plainText(http.StatusTooManyRequests, "Number of allowed API requests per minute exceeded"), resets, l.cfg.OmitRetryAfter)
	case b != noBucket && !l.spend(b):
		v.refuse(bucketRefusal(b), resets, l.cfg.OmitRetryAfter)
	case ticket != "":
		l.takeEach(&v, now, updater{user, ticket})
	}
	v.account = gauge{l.most[accountBucket], max(l.most[accountBucket]-l.used[accountBucket], 0), resets}
	v.own = gauge{l.most[b], max(l.most[b]-l.used[b], 0), resets}
	return v
}

func (l *limiter) spend(b bucket) bool {
	if l.most[b] < 0 {
		return true
	}
	if l.used[b] >= l.most[b] {
		return false
	}
	l.used[b]++
	return true
}

// takeEach counts updates of one ticket by one user in ten minutes.
func (l *limiter) takeEach(v *verdict, now time.Time, who updater) {
	window := now.Unix() / int64(eachWindow/time.Second)
	if window != l.window {
		l.window = window
		clear(l.each)
	}
	if l.cfg.TicketUpdateEach >= 0 && l.each[who] >= l.cfg.TicketUpdateEach {
		resets := int(int64(eachWindow/time.Second) - now.Unix()%int64(eachWindow/time.Second))
		v.refuse(errText(http.StatusTooManyRequests, "TooManyRequests",
			"You have exceeded the limit of 30 updates per 10 minutes by a user on a ticket"), resets, l.cfg.OmitRetryAfter)
		return
	}
	l.each[who]++
}

func bucketRefusal(b bucket) reply {
	what := "API requests"
	if b == incrementalBucket || b == usersCursorBucket {
		what = "incremental export API requests"
	}
	return errText(http.StatusTooManyRequests, "APIRateLimitExceeded", "Number of allowed "+what+" per minute exceeded")
}

func (v *verdict) refuse(rep reply, resets int, bare bool) {
	if !bare {
		rep.header.Set("Retry-After", strconv.Itoa(resets))
	}
	v.refusal = &rep
}

// head writes every family of headers there has been.
func (v *verdict) head(h http.Header) {
	if v.off || v.account.most < 0 {
		return
	}
	most, left, resets := strconv.Itoa(v.account.most), strconv.Itoa(v.account.left), strconv.Itoa(v.account.resets)
	h.Set("X-Rate-Limit", most)
	h.Set("X-Rate-Limit-Remaining", left)
	h.Set("Ratelimit-Limit", most)
	h.Set("Ratelimit-Remaining", left)
	h.Set("Ratelimit-Reset", resets)
	h.Set("Rate-Limit", most)
	h.Set("Rate-Limit-Remaining", left)
	h.Set("Rate-Limit-Reset", resets)
	if name := bucketHeaders[v.bucket]; name != "" && v.own.most >= 0 {
		h.Set(name, fmt.Sprintf("total=%d; remaining=%d; resets=%d", v.own.most, v.own.left, v.own.resets))
	}
}
