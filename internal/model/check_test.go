package model

import (
	"fmt"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk/zendesktest"
)

// check holds an answer against the history: everything that it shows was so
// at some moment that its age allows, and nothing is missing that was there
// throughout. It returns what is wrong.
//
// That nobody else has the number is known as of the stream's watermark and no
// later: reading a person again says nothing of others.
func (w *world) check(number string, withTickets bool, a caller.Answer, watermark, before, after time.Time) (faults []string) {
	w.history.mu.RLock()
	defer w.history.mu.RUnlock()
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	switch a.Outcome {
	case caller.Found, caller.Ambiguous, caller.NotFound:
	case caller.Unavailable:
		return nil // it claims nothing
	default:
		wrong("outcome %q", a.Outcome)
	}
	m := moments{before.Add(-a.Age), before, after}
	shown := map[int64]bool{}
	for i := range a.Callers {
		c := &a.Callers[i]
		shown[c.User.ID] = true
		if why := w.userShown(number, &c.User, m); why != "" {
			wrong("user %d: %s", c.User.ID, why)
		}
		if a.Outcome == caller.Found || withTickets {
			w.ticketsShown(c, a.Stale, m, wrong)
		}
	}
	if a.Stale {
		return faults // it says itself that something may be missing
	}
	m.from = earlier(m.from, watermark)
	for id, l := range w.history.users {
		if !shown[id] && l.all(m, w.history.known[caller.Users], func(v version[zendesktest.TruthUser]) bool {
			return !v.gone && v.is.Active && v.is.Role == "end-user" && w.key(v.is.Phone) == number
		}) {
			wrong("user %d had the number all the time from %s to %s, and is missing: %q", id,
				m.from.Format(clockTime), m.given.Format(clockTime), told(l))
		}
	}
	return faults
}

// all tells whether something held all the time, of every version that an
// answer may show.
func (l life[T]) all(m moments, known []mark, holds func(version[T]) bool) bool {
	versions, absent := l.possible(m, known)
	return !absent && !slices.ContainsFunc(versions, func(v version[T]) bool { return !holds(v) })
}

func (w *world) userShown(number string, u *caller.User, m moments) string {
	l := w.history.users[u.ID]
	if len(l) == 0 {
		return "there never was such a user"
	}
	possible, _ := l.possible(m, w.history.known[caller.Users])
	if last := l[len(l)-1]; last.gone && last.at.Before(m.given) {
		// Nothing tells of somebody who vanished, nor of what they changed before
		// that: until a full run they stay as an export last showed them.
		possible = l
	}
	shown := userText(u.Name, u.Email, u.Phone, u.Role, u.Locale, u.Tags, u.OrganizationID, u.Suspended, u.UpdatedAt)
	had := false
	for _, v := range l {
		// That a number was an identity, and is no more, an export does not
		// tell: that it ever was one has to do here.
		had = had || w.key(v.is.Phone) == number || slices.ContainsFunc(v.is.Identities, func(p string) bool { return w.key(p) == number })
	}
	if !had {
		return "never had the number"
	}
	var were []string
	for _, v := range possible {
		if v.gone {
			continue
		}
		t := &v.is
		was := userText(t.Name, t.Email, t.Phone, t.Role, t.Locale, t.Tags, t.OrganizationID, t.Suspended, t.UpdatedAt)
		if was == shown && t.Active {
			return ""
		}
		were = append(were, fmt.Sprintf("%s, active %v, by %q from %s", was, t.Active, v.kind, v.at.Format(clockTime)))
	}
	return fmt.Sprintf("is shown as %s, and was %q from %s to %s", shown, were, m.from.Format(clockTime), m.given.Format(clockTime))
}

// told is the end of a life, for a person to read.
func told(l life[zendesktest.TruthUser]) (words []string) {
	for _, v := range l[max(0, len(l)-5):] {
		words = append(words, fmt.Sprintf("%s by %q: %s %s active %v", v.at.Format(clockTime), v.kind, v.is.Phone, v.is.Role, v.is.Active && !v.gone))
	}
	return words
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

const clockTime = "15:04:05.000"

func userText(name, email, phone, role, locale string, tags []string, org int64, suspended bool, updated int64) string {
	return fmt.Sprint(name, "|", email, "|", phone, "|", role, "|", locale, tags, org, suspended, updated)
}

func (w *world) ticketsShown(c *caller.Caller, stale bool, m moments, wrong func(string, ...any)) {
	shown := map[int64]bool{}
	for i := range c.Open {
		t := &c.Open[i]
		shown[t.ID] = true
		text := ticketText(t.RequesterID, t.AssigneeID, t.Status, t.Priority, t.Type, t.Subject, t.Tags, t.UpdatedAt)
		var were []string
		ok := false
		possible, _ := w.history.tickets[t.ID].possible(m, w.history.known[caller.Tickets])
		for _, v := range possible {
			was := truthText(&v.is)
			ok = ok || was == text
			were = append(were, fmt.Sprintf("%s by %q from %s", was, v.kind, v.at.Format(clockTime)))
		}
		if !ok {
			wrong("ticket %d of user %d is shown as %s, and was %q from %s to %s", t.ID, c.User.ID, text, were,
				m.from.Format(clockTime), m.given.Format(clockTime))
		}
	}
	if stale {
		return
	}
	for _, id := range w.history.owned[c.User.ID] {
		if !shown[id] && w.history.tickets[id].all(m, w.history.known[caller.Tickets], func(v version[zendesktest.TruthTicket]) bool {
			return v.is.RequesterID == c.User.ID && v.is.Unresolved()
		}) {
			wrong("ticket %d of user %d was unresolved all the time from %s to %s, and is missing", id, c.User.ID,
				m.from.Format(clockTime), m.given.Format(clockTime))
		}
	}
}

func ticketText(requester, assignee int64, status, priority, kind, subject string, tags []string, updated int64) string {
	return fmt.Sprint(requester, " ", assignee, status, "|", priority, "|", kind, "|", subject, tags, updated)
}

func truthText(t *zendesktest.TruthTicket) string {
	return ticketText(t.RequesterID, t.AssigneeID, t.Status, t.Priority, t.Type, t.Subject, t.Tags, t.UpdatedAt)
}

// compare holds the whole mirror against the account; with told alone only what
// the exports tell of: neither people who vanished nor numbers that are
// identities.
func (w *world) compare(toldAlone bool) (faults []string) {
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if err := w.daemon.store.Verify(); err != nil {
		wrong("the store does not agree with itself: %v", err)
	}
	users, tickets := int64(0), int64(0)
	for truth := range w.sim.Truth().Users() {
		held, ok, err := w.daemon.store.Caller(truth.ID)
		if err != nil || ok != truth.Active {
			wrong("user %d is there: %v (%v), want %v", truth.ID, ok, err, truth.Active)
		}
		if !ok {
			continue
		}
		users++
		w.compareUser(truth, held, toldAlone, wrong)
	}
	for truth := range w.sim.Truth().Tickets() {
		held, ok, err := w.daemon.store.Ticket(truth.ID)
		if err != nil || ok != truth.Unresolved() {
			wrong("ticket %d is there: %v (%v), and is %s", truth.ID, ok, err, truth.Status)
		}
		if !ok {
			continue
		}
		tickets++
		got := ticketText(held.RequesterID, held.AssigneeID, held.Status, held.Priority, held.Type, held.Subject, held.Tags, held.UpdatedAt)
		if want := truthText(&truth); got != want {
			wrong("ticket %d is %s, want %s", truth.ID, got, want)
		}
	}
	if size := w.daemon.store.Size(); !toldAlone && size.Users != users || size.Tickets != tickets {
		wrong("the mirror counts %d users and %d tickets, want %d and %d", size.Users, size.Tickets, users, tickets)
	}
	return faults
}

func (w *world) compareUser(truth zendesktest.TruthUser, held caller.Caller, toldAlone bool, wrong func(string, ...any)) {
	numbers, err := w.daemon.store.Numbers(truth.ID)
	if err != nil {
		wrong("user %d: %v", truth.ID, err)
	}
	var want []string
	for _, phone := range append(slices.Clone(truth.Identities), truth.Phone) {
		if e164 := w.key(phone); e164 != "" {
			want = append(want, e164)
		}
	}
	slices.Sort(want)
	if want = slices.Compact(want); !toldAlone && !slices.Equal(numbers, want) {
		wrong("user %d has %v in the mirror, want %v", truth.ID, numbers, want)
	}
	u, t := &held.User, &truth
	is := userText(u.Name, u.Email, u.Phone, u.Role, u.Locale, u.Tags, u.OrganizationID, u.Suspended, u.UpdatedAt)
	if was := userText(t.Name, t.Email, t.Phone, t.Role, t.Locale, t.Tags, t.OrganizationID, t.Suspended, t.UpdatedAt); is != was {
		wrong("user %d is %s, want %s", truth.ID, is, was)
	}
}
