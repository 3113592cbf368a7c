package zendesk

import "time"

const minute = time.Minute

// window counts the requests of one limit in one minute.
type window struct {
	id      uint64    // counts the minutes
	end     time.Time // when the minute ends
	limit   int       // requests a minute, 0 where none is known
	used    [shareCount]int
	left    int       // what Zendesk says is left, less ours since; -1 unknown
	blocked time.Time // refused until, after a 429

	inFlight int // sent and not yet answered, of whatever minute
}

// newWindow begins with the clock's minute; headers correct its phase.
func newWindow(now time.Time, limit int) window {
	return window{end: now.Truncate(minute).Add(minute), limit: limit, left: -1}
}

// roll begins the next minute once this one is over, in the phase learnt.
func (w *window) roll(now time.Time) {
	switch togo := w.untilEnd(now); {
	case togo > 2*minute: // the clock was set back
		w.begin(now.Truncate(minute).Add(minute))
	case togo <= 0:
		missed := int64(-togo / minute)
		w.begin(w.end.Add(time.Duration(missed+1) * minute))
	}
}

func (w *window) begin(end time.Time) {
	w.id++
	w.end, w.left = end, -1
	w.used = [shareCount]int{}
}

func (w *window) count(s Share) {
	w.used[s]++
	w.inFlight++
	if w.left > 0 {
		w.left--
	}
}

func (w *window) total() (n int) {
	for _, u := range w.used {
		n += u
	}
	return n
}

// available is what the minute still holds.
func (w *window) available() int {
	n := w.limit - w.total()
	if w.left >= 0 && w.left < n {
		n = w.left
	}
	return n
}

// untilEnd is how long to wait for the next minute.
func (w *window) untilEnd(now time.Time) time.Duration { return w.end.Sub(now) }

// roomForShare says how long the account has no room for a share: 0 is now.
func (w *window) roomForShare(s Share, now time.Time) time.Duration {
	if now.Before(w.blocked) {
		return w.blocked.Sub(now)
	}
	left := w.available()
	if left < 1 || (s == Live && w.used[Live] >= max(1, w.limit/2)) {
		return w.untilEnd(now)
	}
	// Guarantees are parts of what this minute really has for us, which is
	// less than the limit where others have used the account.
	whole := w.total() + left
	kept := 0 // for others, were the minute to begin now
	for other := range shareCount {
		unused := other.guarantee(whole) - w.used[other]
		switch {
		case unused <= 0:
		case other == s:
			return 0
		default:
			kept += unused
		}
	}
	// kept shrinks with the minute: at the moment when kept x togo/minute is
	// down to what is left, there is room.
	togo := min(w.untilEnd(now), minute)
	if float64(left) > float64(kept)*togo.Seconds()/minute.Seconds() {
		return 0
	}
	lent := time.Duration(float64(left) / float64(kept) * float64(minute))
	return max(togo-lent+time.Millisecond, time.Millisecond)
}

// roomInLane is the same for an endpoint's own limit. In an export's, two of
// each ten are for increments alone.
func (w *window) roomInLane(s Share, export bool, now time.Time) time.Duration {
	if now.Before(w.blocked) {
		return w.blocked.Sub(now)
	}
	if w.limit == 0 { // none known
		if w.left == 0 {
			return w.untilEnd(now)
		}
		return 0
	}
	left := w.available()
	if export && s != Increments {
		kept := min(max(2, w.limit/5), w.limit-1)
		others := w.total() - w.used[Increments]
		left = min(left-max(0, kept-w.used[Increments]), w.limit-kept-others)
	}
	if left < 1 {
		return w.untilEnd(now)
	}
	return 0
}

// phaseSlack is by how much a reading may miss the window's end and still
// mean the same one: headers count whole seconds.
const phaseSlack = 1500 * time.Millisecond

// learn takes over what an answer says. current tells whether its request was
// counted in this very minute: what an older one says is left is of a minute
// that is over. It returns true where a wait may have become shorter.
func (w *window) learn(r reading, current bool, s Share, now time.Time) (sooner bool) {
	if r.limit > 0 && r.limit != w.limit {
		sooner = r.limit > w.limit
		w.limit = r.limit
	}
	if !current {
		return sooner
	}
	if r.reset >= 0 {
		end := now.Add(r.reset)
		switch off := end.Sub(w.end); {
		case off > minute/2:
			// Zendesk's next minute has begun before ours.
			w.begin(end)
			w.used[s]++
			sooner = true
		case off < 0, off > phaseSlack:
			// Whole seconds round up, so the earliest reading is the best.
			sooner = sooner || off < -phaseSlack
			w.end = end
		}
	}
	if r.left >= 0 {
		// Requests under way may not be counted in what is left.
		if left := max(0, r.left-w.inFlight); w.left < 0 || left < w.left {
			w.left = left
		}
	}
	return sooner
}
