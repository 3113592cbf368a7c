package sync

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

const (
	// sampleEvery is how often random records are compared.
	sampleEvery = time.Minute
	// sampleSize is how many of either kind. 40 a minute are 57,600 a day: one
	// wrong record in 10,000 is found several times a day, by 2 requests a
	// minute.
	sampleSize = 20
	// sampleRest is how long a fault stops it.
	sampleRest = 5 * time.Minute
	// toldAnHour is how many wrong records an hour are worth a warning each.
	toldAnHour = 3
	// sampleHours is the window of what is published.
	sampleHours = 24
)

// sampler is what the comparison has found. Its findings and its log belong to
// the one goroutine that samples; hours is guarded by Syncer.mu.
type sampler struct {
	hours [sampleHours]sampleHour
	at    time.Time
	// suspects are objects that the mirror has and Zendesk has not, with when
	// that was first found. Zendesk does not say since when, so only once the
	// stream is known beyond that moment is it clear that the mirror is wrong
	// and not merely behind.
	suspects map[caller.Object]time.Time
	told     int   // warnings in hour toldIn
	toldIn   int64 // Unix hours
}

// sampleHour is what one hour's comparisons have found.
type sampleHour struct {
	hour                    int64 // Unix hours; of another turn of the clock where it does not fit
	checked, differ, behind uint64
	oldest                  time.Duration
}

// sampling compares random records with Zendesk until ctx ends: the measure of
// how true the mirror is. It takes what is left of the budget, and nothing
// while the mirror is catching up.
func (s *Syncer) sampling(ctx context.Context) {
	pause := s.sampleEvery
	for sleep(ctx, pause) {
		pause = s.sampleEvery
		if !s.caughtUp() {
			continue
		}
		err := s.guard("sample", func() error { return s.sampleOnce(ctx) })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the comparison with Zendesk rests", slog.Any("error", err))
			pause = max(sampleRest, s.sampleEvery)
		}
	}
}

// sampleOnce draws, reads, compares and notes both kinds.
func (s *Syncer) sampleOnce(ctx context.Context) error {
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		if err := s.sampleOf(ctx, stream); err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
	}
	return nil
}

func (s *Syncer) sampleOf(ctx context.Context, stream caller.Stream) error {
	ids, err := s.draw(stream)
	if err != nil || len(ids) == 0 {
		return err
	}
	b, diffs, _, err := s.compare(ctx, stream, ids)
	if err != nil {
		return err
	}
	wrong := objectsOf(diffs)
	verdict := findings{behind: s.cleared(stream, ids, wrong)}
	if len(wrong) > 0 {
		// The record may have changed between the reading and the comparison.
		// One that differs in a second reading too does not differ by that.
		again, diffs, watermark, err := s.compare(ctx, stream, wrong)
		if err != nil {
			return err
		}
		s.judgeSample(&verdict, diffs, watermark)
		b = merged(b, again)
	}
	s.noteSample(uint64(len(ids)), verdict)
	s.tell(verdict)
	// What was read is no worse than what an export brings: it heals.
	b.Gone = slices.DeleteFunc(b.Gone, func(g caller.Gone) bool {
		_, waits := s.sampler.suspects[caller.Object{Stream: g.Stream, ID: g.ID}]
		return waits
	})
	b.Gone = s.admit(stream, b.Gone, len(ids))
	return s.applyPeople(ctx, b)
}

// draw is what is compared: suspects of whom more is known now, else at random.
func (s *Syncer) draw(stream caller.Stream) ([]int64, error) {
	watermark := s.position(stream).Watermark
	var ids []int64
	for o, found := range s.sampler.suspects {
		if o.Stream == stream && found.Before(watermark) && len(ids) < sampleSize {
			ids = append(ids, o.ID)
		}
	}
	drawn, err := s.store.Sample(stream, sampleSize-len(ids), s.random)
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	for _, id := range drawn {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// compare reads records and tells in what the mirror differs, and how far the
// stream was surely known by then.
func (s *Syncer) compare(ctx context.Context, stream caller.Stream, ids []int64) (b caller.Batch, diffs []caller.Difference, watermark time.Time, err error) {
	if stream == caller.Users {
		b.Users, b.Gone, err = s.source.Identities(ctx, ids)
	} else {
		b.Tickets, b.Gone, err = s.source.ShowTickets(ctx, ids)
	}
	if err != nil {
		return b, nil, time.Time{}, err
	}
	if s.tooManyGone(len(b.Gone), len(ids)) {
		s.log.Warn("most of the records asked for are not to be seen: that is no finding",
			slog.String("stream", string(stream)), slog.Int("asked", len(ids)), slog.Int("missing", len(b.Gone)))
		b.Gone = nil
	}
	if !s.identities {
		for i := range b.Users {
			b.Users[i].Identities = nil // the mirror does not claim to know them
		}
	}
	watermark = s.position(stream).Watermark
	if diffs, err = s.store.Compare(b); err != nil {
		return b, nil, time.Time{}, fmt.Errorf("compare: %w", err)
	}
	return b, diffs, watermark, nil
}

func objectsOf(diffs []caller.Difference) []int64 {
	var ids []int64
	for _, d := range diffs {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// merged is a first reading with what a second one showed in its place.
func merged(first, second caller.Batch) caller.Batch {
	again := map[int64]bool{}
	for i := range second.Users {
		again[second.Users[i].User.ID] = true
	}
	for i := range second.Tickets {
		again[second.Tickets[i].Ticket.ID] = true
	}
	for _, g := range second.Gone {
		again[g.ID] = true
	}
	second.Users = append(second.Users, slices.DeleteFunc(first.Users, func(u caller.UserUpdate) bool { return again[u.User.ID] })...)
	second.Tickets = append(second.Tickets, slices.DeleteFunc(first.Tickets, func(t caller.TicketUpdate) bool { return again[t.Ticket.ID] })...)
	second.Gone = append(second.Gone, slices.DeleteFunc(first.Gone, func(g caller.Gone) bool { return again[g.ID] })...)
	return second
}

// findings are the wrong records of one comparison.
type findings struct {
	fields map[caller.Object][]string // of those that differ
	behind int
	oldest time.Duration
	// waiting are those of which it is not clear yet: they count once it is.
	waiting int
}

// cleared takes those off the suspects that were looked at again and do not
// differ: the mirror was behind and has come after.
func (s *Syncer) cleared(stream caller.Stream, ids, wrong []int64) (n int) {
	for _, id := range ids {
		o := caller.Object{Stream: stream, ID: id}
		if _, ok := s.sampler.suspects[o]; ok && !slices.Contains(wrong, id) {
			delete(s.sampler.suspects, o)
			n++
		}
	}
	return n
}

// judgeSample tells what is wrong from what is merely too recent to be known.
func (s *Syncer) judgeSample(f *findings, diffs []caller.Difference, watermark time.Time) {
	now := s.clock()
	f.fields = map[caller.Object][]string{}
	recent := map[caller.Object]bool{}
	for _, d := range diffs {
		o := caller.Object{Stream: d.Stream, ID: d.ID}
		since := d.Since
		if d.Field == caller.FieldExtra && since.IsZero() {
			if since = s.suspect(o, now); !since.Before(watermark) {
				f.waiting++
				continue
			}
			delete(s.sampler.suspects, o)
		}
		if !since.Before(watermark) {
			recent[o] = true
			continue
		}
		f.fields[o] = append(f.fields[o], d.Field)
		if !since.IsZero() {
			f.oldest = max(f.oldest, now.Sub(since))
		}
	}
	for o := range recent {
		if f.fields[o] == nil {
			f.behind++
		}
	}
}

// suspect notes that an object is gone at Zendesk, and tells since when that
// is known.
func (s *Syncer) suspect(o caller.Object, now time.Time) time.Time {
	p := &s.sampler
	if found, ok := p.suspects[o]; ok {
		return found
	}
	if p.suspects == nil {
		p.suspects = map[caller.Object]time.Time{}
	}
	p.suspects[o] = now
	return now
}

// noteSample counts one comparison in.
func (s *Syncer) noteSample(checked uint64, f findings) {
	now := s.clock()
	hour := now.Unix() / 3600
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.sampler.hours[hour%sampleHours]
	if h.hour != hour {
		*h = sampleHour{hour: hour}
	}
	h.checked += checked - uint64(f.waiting)
	h.differ += uint64(len(f.fields))
	h.behind += uint64(f.behind)
	h.oldest = max(h.oldest, f.oldest)
	s.sampler.at = now
}

// sampleStatus sums the last 24 hours up, under the lock.
func (s *Syncer) sampleStatus(now time.Time) status.Sample {
	st := status.Sample{At: s.sampler.at}
	hour := now.Unix() / 3600
	for i := range s.sampler.hours {
		h := &s.sampler.hours[i]
		if h.hour <= hour-sampleHours || h.hour > hour {
			continue
		}
		st.Checked += h.checked
		st.Differ += h.differ
		st.Behind += h.behind
		st.Oldest = max(st.Oldest, h.oldest)
	}
	if st.Checked > 0 {
		st.Share = float64(st.Differ) / float64(st.Checked)
	}
	return st
}

// tell logs the first wrong records of an hour, by id and field: the values
// are people's.
func (s *Syncer) tell(f findings) {
	p := &s.sampler
	if hour := s.clock().Unix() / 3600; hour != p.toldIn {
		p.told, p.toldIn = 0, hour
	}
	for o, fields := range f.fields {
		if p.told++; p.told > toldAnHour {
			return
		}
		s.log.Warn("the mirror was not as Zendesk is", slog.String("stream", string(o.Stream)),
			slog.Int64("id", o.ID), slog.Any("fields", fields))
	}
}
