package sync

import (
	"log/slog"
	"time"

	"aniproxy/internal/caller"
)

// What the rolling re-read, the debts of identities and the sampler do not find
// at Zendesk goes without a full run, so the guard holds for them too: a "not
// found" is also what credentials get that may not see somebody, and a mirror
// must not be emptied by that, a hundred at a time. What is not taken out is
// asked for again, and a full run finds it.

const (
	// goneShare is the share of one request that may not be found, where the
	// guard does not allow less, and goneFew is how many may in any case.
	goneShare = 0.2
	goneFew   = 10 // of a request for fewer than that, most may well have left
	// departedFor is how long what has gone counts.
	departedFor = 24 * time.Hour
)

// departed is what has gone of one stream by reading beside the runs. Guarded
// by Syncer.mu.
type departed struct {
	since  time.Time
	held   int64 // the most that the mirror has held since
	gone   int64
	warned bool
}

// admit returns those who were not found if they may be taken out, else none.
func (s *Syncer) admit(stream caller.Stream, gone []caller.Gone, asked int) []caller.Gone {
	if len(gone) == 0 {
		return nil
	}
	if s.tooManyGone(len(gone), asked) {
		s.log.Warn("most of those asked for are not to be seen: none of them is taken out",
			slog.String("stream", string(stream)), slog.Int("asked", asked), slog.Int("missing", len(gone)))
		return nil
	}
	size := s.store.Size()
	held := size.Users
	if stream == caller.Tickets {
		held = size.Tickets
	}
	if ok, first := s.mayGo(stream, len(gone), held); !ok {
		if first {
			s.log.Warn("more is not to be seen than sync.delete_guard allows within a day: it is not taken out",
				slog.String("stream", string(stream)), slog.Int64("held", held))
		}
		return nil
	}
	return gone
}

// mayGo counts what is to go against the guard. Where it may not, none of it is
// counted, and first tells whether that is the first time.
func (s *Syncer) mayGo(stream caller.Stream, n int, held int64) (ok, first bool) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.departed[stream]
	if d == nil || now.Sub(d.since) >= departedFor || now.Before(d.since) {
		d = &departed{since: now}
		s.departed[stream] = d
	}
	d.held = max(d.held, held)
	if d.held >= guardFrom && float64(d.gone+int64(n)) > s.deleteGuard*float64(d.held) {
		first, d.warned = !d.warned, true
		return false, first
	}
	d.gone += int64(n)
	return true, false
}

// tooManyGone tells whether an answer looks less like objects that have gone
// than like credentials that may not see them any more. One of many may always
// have: a guard below a hundredth is for the mirror, not for each request.
func (s *Syncer) tooManyGone(gone, asked int) bool {
	return asked >= goneFew && gone > 1 && float64(gone) > min(goneShare, s.deleteGuard)*float64(asked)
}
