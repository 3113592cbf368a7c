package store

import (
	"sync"
	"time"

	"aniproxy/internal/caller"
)

const (
	// paceTarget is how long a transaction of a large batch should take while
	// serving, or of urgent ones together. It may take 50 ms; less than half of that leaves room for a slow disk and
	// for records that cost more than the last ones did.
	paceTarget = 20 * time.Millisecond
	// paceLeast records make a transaction in any case: below that, the two
	// syncs of a commit are most of its cost.
	paceLeast = 50
	// paceMost is a whole page of an export.
	paceMost = 1000
	// paceGuess is what a record is taken to cost before one was written:
	// changed users with new numbers, on a slow disk.
	paceGuess = 200 * time.Microsecond
)

// pace cuts large batches into transactions that stay short. It learns from
// those that were written what a record costs here: that depends on the disk,
// on the size of the file and on how much of a record has changed.
type pace struct {
	mu   sync.Mutex
	cost time.Duration // of one record; 0 where none was written
}

// note takes over what a transaction has cost. Small ones say little of what a
// record costs, for most of it is the commit.
func (p *pace) note(records int, took time.Duration) {
	if records < paceLeast || took <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := took / time.Duration(records)
	if p.cost == 0 || cost > p.cost {
		p.cost = cost // dearer: believed at once
		return
	}
	p.cost += (cost - p.cost) / 4 // cheaper: bit by bit
}

func (p *pace) records() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := p.cost
	if cost == 0 {
		cost = paceGuess
	}
	return min(max(int(paceTarget/cost), paceLeast), paceMost)
}

// cost is how many records' work a batch is: a reading of somebody's tickets
// may touch each of those that it lists.
func cost(b *caller.Batch) int {
	n := len(b.Users) + len(b.Tickets) + len(b.Gone)
	for i := range b.Requested {
		n += requestedCost(&b.Requested[i])
	}
	return n
}

func requestedCost(r *caller.Requested) int { return 1 + len(r.TicketIDs) }

// cut takes from the batch what one transaction may hold, and tells whether
// something is left. The kinds keep their order, since what is taken out hangs
// on the records before it. The positions are in the last cut.
func (p *pace) cut(b *caller.Batch) (cut caller.Batch, rest bool) {
	room := p.records()
	if cost(b) <= room {
		cut = *b
		*b = caller.Batch{}
		return cut, false
	}
	cut = caller.Batch{Reread: b.Reread, Urgent: b.Urgent}
	cut.Users, b.Users, room = take(b.Users, room)
	cut.Tickets, b.Tickets, room = take(b.Tickets, room)
	cut.Gone, b.Gone, room = take(b.Gone, room)
	n := 0
	for n < len(b.Requested) && room > 0 { // the last may be too much: it is one person's
		room -= requestedCost(&b.Requested[n])
		n++
	}
	cut.Requested, b.Requested = b.Requested[:n], b.Requested[n:]
	return cut, true
}

// take takes up to room of the records.
func take[T any](records []T, room int) (taken, rest []T, left int) {
	n := min(room, len(records))
	return records[:n], records[n:], room - n
}
