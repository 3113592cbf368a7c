package sync

import (
	stdsync "sync"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

const (
	// noticesMost bounds the queue: some 2 MB. A bulk change of more is the
	// exports' business, which read a thousand records a request.
	noticesMost = 10_000
	// noticesAtOnce is how many objects Zendesk shows in one answer.
	noticesAtOnce = 100
	// noticeTries is how often an object is asked for alone that Zendesk or the
	// store will not give or take, before it is left to the exports.
	noticeTries = 3
	// noticeGrudge, times the number of tries, is how long it waits for the next,
	// and noticeGrudgeMost is the longest.
	noticeGrudge     = 10 * time.Second
	noticeGrudgeMost = 10 * time.Minute
	// absentFirst and absentLast are how long after its event an object that is
	// not there is asked for once more: what was just created or restored may
	// not be seen by every server of Zendesk's yet.
	absentFirst = 2 * time.Second
	absentLast  = 10 * time.Second
)

// notice is an object to be fetched. Guarded by queue.mu.
type notice struct {
	object caller.Object
	at     time.Time // when it was last told of
	due    time.Time // not before; zero is at once
	// from is the user who left and whom the mirror has as this ticket's
	// requester; 0 where that is not why the ticket is here.
	from int64
	// must is true of what an export has brought in vain: nothing else will
	// bring it, so it is neither passed over nor given up.
	must   bool
	faults int
	away   bool // its fetch is under way
	again  bool // told of since
}

// queue holds what is to be fetched, one entry an object, users and tickets
// each in the order in which they were first told of. It may be used from any
// goroutine.
//
// It is in memory alone. What a restart forgets the next increment brings, but
// for the numbers of people, which the rolling re-read does.
type queue struct {
	mu      stdsync.Mutex
	closed  bool
	entries map[caller.Object]*notice
	lines   map[caller.Stream]*line
	counts  status.Notices
}

// line is one stream's part of the queue.
type line struct {
	wake    chan struct{}
	waiting []*notice
	most    int // objects in the next request: fewer after one that failed by what it asked for
}

func newQueue() *queue {
	q := &queue{entries: map[caller.Object]*notice{}, lines: map[caller.Stream]*line{}}
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		q.lines[stream] = &line{wake: make(chan struct{}, 1), most: noticesAtOnce}
	}
	return q
}

// told puts in what a webhook names; false where any of it found no room.
func (q *queue) told(objects []caller.Object, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := true
	for _, o := range objects {
		q.counts.Received++
		q.counts.Last = now
		if n, known := q.entries[o]; known && (!n.away || n.again) {
			q.counts.Merged++
		}
		taken = q.put(o, 0, now) && taken
	}
	return taken
}

// follow puts in what follows from something that was read.
func (q *queue) follow(o caller.Object, from int64, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(o, from, now)
}

// want puts in what is to be fetched at all, unless it is about to be.
func (q *queue) want(objects []caller.Object, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range objects {
		if _, known := q.entries[o]; !known {
			q.put(o, 0, now)
		}
	}
}

// insist puts in what must be asked for by id, whatever the exports bring.
func (q *queue) insist(objects []caller.Object, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range objects {
		q.put(o, 0, now)
		if n, ok := q.entries[o]; ok {
			n.must = true
		}
	}
}

// put puts one object in, under the lock. A second telling while an object
// waits makes it due; one while its fetch is under way has it fetched once
// more, since that fetch may have been sent before the change.
func (q *queue) put(o caller.Object, from int64, now time.Time) bool {
	l, ok := q.lines[o.Stream]
	if !ok || o.ID <= 0 {
		return true // nothing that could be fetched
	}
	n, known := q.entries[o]
	switch {
	case known && !q.closed:
		n.again = n.away
	case q.closed || len(q.entries) >= noticesMost:
		q.counts.Dropped++
		return false
	default:
		n = &notice{object: o}
		q.entries[o] = n
		l.waiting = append(l.waiting, n)
	}
	n.at, n.due = now, time.Time{}
	if from != 0 {
		n.from = from
	}
	poke(l.wake)
	return true
}

// wake tells of news in a stream's line.
func (q *queue) wake(stream caller.Stream) <-chan struct{} { return q.lines[stream].wake }

// next is how long until something of a stream is due; waits is false where
// nothing waits.
func (q *queue) next(stream caller.Stream, now time.Time) (wait time.Duration, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range q.lines[stream].waiting {
		until := max(0, n.due.Sub(now))
		if !waits || until < wait {
			wait, waits = until, true
		}
		if wait == 0 {
			break
		}
	}
	return wait, waits
}

// take takes the oldest of a stream that are due. Tickets told of before
// covered are passed over: what was true then the export has brought. (Of users
// it does not bring everything.)
func (q *queue) take(stream caller.Stream, now, covered time.Time) []*notice {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[stream]
	var taken []*notice
	left := l.waiting[:0]
	for i, n := range l.waiting {
		if len(taken) == l.most {
			left = append(left, l.waiting[i:]...)
			break
		}
		switch {
		case stream == caller.Tickets && n.from == 0 && !n.must && n.at.Before(covered):
			delete(q.entries, n.object)
		case !n.due.After(now):
			n.away = true
			taken = append(taken, n)
		default:
			left = append(left, n)
		}
	}
	clear(l.waiting[len(left):])
	l.waiting = left
	return taken
}

// done takes out what has been fetched, or puts it in again where it was told
// of meanwhile.
func (q *queue) done(ns []*notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range ns {
		q.counts.Fetched++
		n.must = n.must && n.again
		q.settle(n)
	}
}

// settle ends an entry whose turn is over, under the lock.
func (q *queue) settle(n *notice) {
	if !n.again {
		delete(q.entries, n.object)
		return
	}
	n.away, n.again, n.faults = false, false, 0
	l := q.lines[n.object.Stream]
	l.waiting = append(l.waiting, n)
}

// later puts an entry back until a moment; where it was told of meanwhile, at
// once.
func (q *queue) later(n *notice, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.postpone(n, due)
}

// postpone is later, under the lock.
func (q *queue) postpone(n *notice, due time.Time) {
	n.away, n.due = false, due
	if n.again {
		n.again, n.due = false, time.Time{}
	}
	l := q.lines[n.object.Stream]
	l.waiting = append(l.waiting, n)
}

// doubt is when an object is to be asked for again that is not there: its
// event may have come before the object was to be seen everywhere. There is no
// doubt, and ok is false, some time after the event.
func (q *queue) doubt(n *notice, now time.Time) (due time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, after := range []time.Duration{absentFirst, absentLast} {
		if due := n.at.Add(after); due.After(now) {
			return due, true
		}
	}
	return time.Time{}, false
}

// origin is the user who left and because of whom a ticket is fetched, 0 for
// none.
func (q *queue) origin(n *notice) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return n.from
}

// well has the next request of a stream ask for more again.
func (q *queue) well(stream caller.Stream) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[stream]
	l.most = min(2*l.most, noticesAtOnce)
}

// failed puts back, in front, what could not be fetched.
//
// Where it was the weather, the same is tried again, for as long as it takes.
// Where it was something about the objects, half as many are asked for, until
// the one is alone that is at fault: it waits behind the others, and is left
// to the exports after a few tries, so that it holds up nobody; what the exports
// cannot bring is tried on, ever more rarely.
func (q *queue) failed(ns []*notice, weather bool, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(ns) == 0 {
		return
	}
	l := q.lines[ns[0].object.Stream]
	if !weather && len(ns) == 1 {
		n := ns[0]
		if n.faults++; n.must || n.faults < noticeTries {
			q.postpone(n, now.Add(min(time.Duration(n.faults)*noticeGrudge, noticeGrudgeMost)))
			return
		}
		q.counts.Failed++
		q.settle(n)
		return
	}
	if !weather {
		l.most = max(1, len(ns)/2)
	}
	for _, n := range ns {
		n.away, n.again, n.due = false, false, time.Time{}
	}
	l.waiting = append(ns[:len(ns):len(ns)], l.waiting...)
}

// close takes nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// status is what is told of the queue.
func (q *queue) status() status.Notices {
	q.mu.Lock()
	defer q.mu.Unlock()
	st := q.counts
	st.Waiting = len(q.entries)
	return st
}
