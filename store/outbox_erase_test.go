package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

func eraseFrom(t *testing.T, o *Outbox, user int64, tickets ...int64) (records int) {
	t.Helper()
	n, err := o.Erase(t.Context(), user, tickets)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newTicket is an intake of a new ticket for somebody.
func newTicket(id string, user int64) outbox.Intake {
	return outbox.Intake{Record: outbox.Record{
		ID: id, Kind: outbox.Ticket, Client: "webex", UserID: user, Subject: "Heater", Body: "It went cold.",
	}}
}

func TestEraseTakesOutWhatIsThePersonsWhateverItsState(t *testing.T) {
	o := openOutbox(t)
	for _, in := range []outbox.Intake{
		comment("queued", 10), comment("behind it", 10), comment("delivered", 11), comment("failed", 10), comment("followed up", 30),
		newTicket("new", 1), newTicket("created", 1),
		comment("another's", 20), newTicket("for another", 2), comment("of the same number as the person", 1), newTicket("of the same number as a ticket", 10),
	} {
		accept(t, o, in)
	}
	settle(t, o, "delivered", outbox.Delivered)
	settle(t, o, "failed", outbox.Failed)
	settle(t, o, "created", outbox.Delivered)
	landed := held(t, o, "followed up")
	landed.State, landed.Landed = outbox.Delivered, 11
	if err := o.Save(landed); err != nil {
		t.Fatal(err)
	}

	equal(t, "how many went", eraseFrom(t, o, 1, 10, 11), 7)
	equal(t, "what is left", ids(t)(o.List("", 0, 0)), []string{
		"of the same number as a ticket", "of the same number as the person", "for another", "another's",
	})
	equal(t, "what is next", len(ids(t)(o.Queued(0))), 4)
	equal(t, "counts", []uint64{o.Status().Queued, o.Status().Failed}, []uint64{4, 0})
	if err := agrees(o); err != nil {
		t.Error(err)
	}
	equal(t, "how many go the second time", eraseFrom(t, o, 1, 10, 11), 0)
}

func TestManyPeopleAreErasedAtOnce(t *testing.T) {
	o := openOutbox(t)
	for _, in := range []outbox.Intake{comment("a", 10), comment("b", 20), newTicket("c", 2), newTicket("d", 3)} {
		accept(t, o, in)
	}
	n, err := o.EraseAgain(t.Context(), []caller.Erasure{{UserID: 1, Tickets: []int64{10}}, {UserID: 2}})
	if n != 2 || err != nil {
		t.Errorf("%d records went, error %v; want 2", n, err)
	}
	equal(t, "what is left", ids(t)(o.List("", 0, 0)), []string{"d", "b"})
}

func TestAnErasedRecordIsUnknownToWhoeverHoldsIt(t *testing.T) {
	o := openOutbox(t)
	r := accept(t, o, comment("a", 10))
	eraseFrom(t, o, 1, 10)
	r.State, r.Attempts = outbox.Delivered, 1
	if err := o.Save(r); !errors.Is(err, outbox.ErrUnknown) {
		t.Errorf("save says %v, want ErrUnknown", err)
	}
	if _, err := o.Retry("a"); !errors.Is(err, outbox.ErrUnknown) {
		t.Errorf("retry says %v, want ErrUnknown", err)
	}
	if _, ok, err := o.Record("a"); ok || err != nil {
		t.Errorf("found %v, error %v", ok, err)
	}
}

func TestTheSameAgainIsNotWrittenThoughTheFirstWasErased(t *testing.T) {
	clock := &wall{now: noon}
	o := openOutbox(t, withClock(clock))
	first := same(comment("a", 10), "interaction", time.Hour)
	accept(t, o, first)
	accept(t, o, same(comment("b", 20), "another", time.Hour))
	eraseFrom(t, o, 1, 10)

	again := same(comment("a2", 10), "interaction", time.Hour)
	want := again.Record
	want.State, want.Error = outbox.Failed, "erased"
	got, isFirst, err := o.Accept(t.Context(), again)
	if isFirst || err != nil {
		t.Errorf("first %v, error %v; want the first one's answer", isFirst, err)
	}
	equal(t, "the answer", got, want)
	got, ok, err := o.Same(again)
	if !ok || err != nil {
		t.Errorf("same: found %v, error %v", ok, err)
	}
	equal(t, "the answer beforehand", got, want)
	equal(t, "what is in the outbox", ids(t)(o.List("", 0, 0)), []string{"b"})
	if _, isFirst, err := o.Accept(t.Context(), same(comment("b2", 20), "another", time.Hour)); isFirst || err != nil {
		t.Errorf("another's digest: first %v, error %v", isFirst, err)
	}

	clock.set(noon.Add(2 * time.Hour)) // its time is over
	accept(t, o, again)
	if _, err := o.Prune(clock.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasToldOfThePersonIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, o *Outbox) {
		all := func() (told []string) {
			for _, c := range []string{"webex", "other"} {
				for kind, id := range map[outbox.Told][]int64{
					outbox.ToldTicket: {10, 20, 1}, outbox.ToldUser: {1, 2, 10}, outbox.SearchedTicket: {10}, outbox.SearchedUser: {1, 2},
				} {
					for _, id := range id {
						if wasTold(t, o, c, kind, id, time.Hour) {
							told = append(told, fmt.Sprint(c, " ", kind, " ", id))
						}
					}
				}
			}
			slices.Sort(told)
			return told
		}
		tell := func() {
			for _, c := range []string{"webex", "other"} {
				for _, id := range []int64{10, 20, 1} {
					o.Tell(c, outbox.ToldTicket, id)
				}
				for _, id := range []int64{1, 2, 10} {
					o.Tell(c, outbox.ToldUser, id)
				}
				o.Tell(c, outbox.SearchedTicket, 10)
				o.Tell(c, outbox.SearchedUser, 1)
			}
		}
		want := []string{
			"other ticket 1", "other ticket 20", "other user 10", "other user 2",
			"webex ticket 1", "webex ticket 20", "webex user 10", "webex user 2",
		}
		tell()
		eraseFrom(t, o, 1, 10)
		equal(t, "told, of what was in memory", all(), want)
		tell()
		pass(time.Minute) // it is on disk
		forget(t, o)
		eraseFrom(t, o, 1, 10)
		equal(t, "told, of what was on disk", all(), want)
		pass(time.Minute)
		forget(t, o)
		equal(t, "told, after a flush", all(), want)
	})
}

func TestTheOutboxFileHoldsNothingOfThePerson(t *testing.T) {
	o := openOutbox(t)
	traces := []string{"Wilhelmina called about the heater", "A subject of hers", string(binary.BigEndian.AppendUint64(nil, 987_654_321))}
	for i := range 300 {
		accept(t, o, comment(fmt.Sprint("c", i), int64(100+i%50)))
	}
	in := comment("hers", 987_654_321)
	in.Record.Body = traces[0]
	accept(t, o, same(in, "d", time.Hour))
	in = newTicket("new", 5000)
	in.Record.Subject = traces[1]
	accept(t, o, in)
	settle(t, o, "new", outbox.Delivered)
	o.Tell("webex", outbox.ToldTicket, 987_654_321)
	equal(t, "whether there is something to overwrite", o.OverwriteDue(), false)
	equal(t, "how many went", eraseFrom(t, o, 5000, 987_654_321), 2)
	if there := found(t, o.db.Path(), traces...); len(there) < 2 {
		t.Fatalf("before the overwriting the file has only %q: the test proves nothing", there)
	}
	equal(t, "whether there is something to overwrite now", o.OverwriteDue(), true)
	pages, err := o.Overwrite(t.Context())
	if pages == 0 || err != nil {
		t.Errorf("%d pages were overwritten, error %v", pages, err)
	}
	nowhere(t, o.db.Path(), traces...)
	equal(t, "whether there is still something to overwrite", o.OverwriteDue(), false)
	equal(t, "what is left", o.Status().Queued, uint64(300))
	if err := check(o.db); err != nil {
		t.Error(err)
	}
	copied := copyOf(t, o)
	equal(t, "what is left in a copy", copied.Status().Queued, uint64(300))
}

func TestManyRecordsAndTellingsGoInShortTransactions(t *testing.T) {
	o := openOutbox(t)
	stock(t, o, 0, 3*eraseRecords) // comments on tickets 1 to 10, see there
	var tickets []int64
	tickets = append(tickets, ticketsOf(t, o)...)
	err := o.submit(t.Context(), o.slow, func(t *outboxTx) error {
		told := make([]telling, 0, toldScan+5000)
		for i := range int64(toldScan + 5000) {
			told = append(told, telling{toldKey{id: i, who: uint64(toldTicket)}, noon.Unix()})
		}
		return t.putTold(told, []string{"webex"})
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(toldMost + 100) {
		tickets = append(tickets, 19_000+i)
	}
	tickets = append(tickets, toldScan+4999)
	before := transactions(t, o)
	equal(t, "how many went", eraseFrom(t, o, 1, tickets...), 3*eraseRecords)
	if n := transactions(t, o) - before; n < 5 {
		t.Errorf("it took %d transactions, want at least 5", n)
	}
	left := 0
	err = o.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(outboxTold).Bucket(seqKey(uint64(noon.Unix() / toldPeriod))).ForEach(func(k, _ []byte) error {
			left++
			if _, id, ok := toldOfKey(k); !ok || slices.Contains(tickets, id) {
				t.Errorf("ticket %d is still told", id)
			}
			return nil
		})
	})
	if err != nil || left < toldScan {
		t.Errorf("%d tellings are left, error %v", left, err)
	}
}

// ticketsOf are the different tickets of all records.
func ticketsOf(t *testing.T, o *Outbox) (tickets []int64) {
	t.Helper()
	all, err := o.List("", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		tickets = append(tickets, r.TicketID)
	}
	slices.Sort(tickets)
	return slices.Compact(tickets)
}

// The mirror forgets whose a ticket was a while after it was solved; the outbox
// keeps what failed for longer.
func TestTheCommentOnATicketThatTheMirrorHasForgottenIsErased(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) {
		o.Clock = func() time.Time { return now }
		o.KeepResolved = 168 * time.Hour
	})
	apply(t, s, couple())
	o := openOutbox(t)
	of := comment("of the person", 10)
	of.Record.UserID = 1
	accept(t, o, of)
	accept(t, o, comment("of nobody known", 10))
	accept(t, o, newTicket("another's", 2))
	settle(t, o, "of the person", outbox.Failed)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 1, "solved", 60), ticket(11, 1, "solved", 60)}})
	now = now.Add(9 * 24 * time.Hour)
	if _, err := s.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := erase(t, s, 1)
	equal(t, "the tickets that the mirror remembers", e.Tickets, []int64(nil))
	equal(t, "how many went", eraseFrom(t, o, 1, e.Tickets...), 1)
	equal(t, "what is left", ids(t)(o.List("", 0, 0)), []string{"another's", "of nobody known"})
	n, err := o.Ownerless(t.Context())
	if n != 1 || err != nil {
		t.Errorf("%d comments are for nobody knows whom, error %v; want 1", n, err)
	}
}

func TestADamagedRecordFailsAnErasureThatIsDoneOtherwise(t *testing.T) {
	o := openOutbox(t)
	accept(t, o, comment("a", 20))
	accept(t, o, comment("b", 10))
	damage := func(v []byte) {
		err := o.submit(t.Context(), o.slow, func(tx *outboxTx) error { return tx.put(tx.records, seqKey(1), v) })
		if err != nil {
			t.Fatal(err)
		}
	}
	var whole []byte
	err := o.db.View(func(tx *bolt.Tx) error {
		whole = bytes.Clone(tx.Bucket(outboxRecords).Get(seqKey(1)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	damage([]byte{outboxFormat, '{'})
	n, err := o.Erase(t.Context(), 1, []int64{10})
	if n != 1 || !errors.Is(err, errRecord) {
		t.Errorf("%d went, error %v; want 1 and an error", n, err)
	}
	damage(whole)
}

func TestErasingWhileOthersWrite(t *testing.T) {
	o := openOutbox(t, func(opts *OutboxOptions) { opts.FlushTold = time.Millisecond })
	var work sync.WaitGroup
	for w := range int64(3) {
		work.Go(func() {
			for i := range int64(60) {
				id := fmt.Sprint(w, "-", i)
				in := same(comment(id, 10+i%4), id, time.Hour)
				r, _, err := o.Accept(t.Context(), in)
				if err != nil {
					t.Error(err)
					continue
				}
				o.Tell("webex", outbox.ToldTicket, 10+i%4)
				r.State = outbox.Delivered
				if err := o.Save(r); err != nil && !errors.Is(err, outbox.ErrUnknown) {
					t.Error(err)
				}
			}
		})
	}
	work.Go(func() {
		for range 10 {
			eraseFrom(t, o, 1, 10, 11)
			if _, err := o.Overwrite(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	eraseFrom(t, o, 1, 10, 11)
	equal(t, "whose tickets are left", ticketsOf(t, o), []int64{12, 13})
	if err := agrees(o); err != nil {
		t.Error(err)
	}
}
