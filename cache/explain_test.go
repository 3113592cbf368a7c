package cache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

const (
	callSearch  = "GET search"
	callPeople  = "GET users/show_many"
	callTickets = "GET users/{id}/tickets/requested"
)

func (b *bench) explain(number string) caller.Explanation {
	b.t.Helper()
	return b.Explain(b.t.Context(), caller.Query{ANI: number})
}

func TestExplainAnAnswerFromTheMirror(t *testing.T) {
	b := setUp(t)
	b.filled()
	ann := withIdentity(person(1, "Ann", numberA), numberA)
	agent := person(2, "Gwen", numberA)
	agent.User.Role = "agent"
	b.mirrored(ann, agent)
	b.pass(time.Minute)
	x := b.explain("(513) 555-7611")
	if x.Text != "(513) 555-7611" || x.Class != "number" || x.E164 != numberA || x.Memory != "nothing" {
		t.Errorf("read as %q %q %q, memory %q", x.Text, x.Class, x.E164, x.Memory)
	}
	type person struct{ name, by, withheld string }
	var people []person
	for _, h := range x.Held {
		people = append(people, person{h.Caller.User.Name, h.By, h.Withheld})
	}
	if want := []person{{"Ann", caller.ByBoth, ""}, {"Gwen", caller.ByProfile, "role"}}; !slices.Equal(people, want) {
		t.Errorf("held %v, want %v", people, want)
	}
	b.expect("explained", x.Answer, caller.Found, caller.FromDisk, "Ann")
	if x.Answer.Age != time.Minute || x.UpstreamWhy != "" || x.Upstream != nil || !x.Streams.Filled() {
		t.Errorf("age %v, why %q, calls %q, streams %+v", x.Answer.Age, x.UpstreamWhy, x.Upstream, x.Streams)
	}
	b.ask(numberA)
	b.memory.cache.Wait()
	x = b.explain(numberA)
	b.expect("once it is in memory", x.Answer, caller.Found, caller.FromMemory, "Ann")
	if x.Memory != "answer" {
		t.Errorf("memory %q, want answer", x.Memory)
	}
}

func TestExplainWhatMemoryMayNotGive(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.ask(numberB)
	b.memory.cache.Wait()
	if x := b.explain(numberB); x.Memory != "nobody" || !x.Walked.Equal(noon) || x.UpstreamWhy != "" {
		t.Errorf("memory %q, walked %v, why %q; want nobody, noon, nothing", x.Memory, x.Walked, x.UpstreamWhy)
	}
	b.pass(2 * time.Minute)
	x := b.explain(numberB)
	b.expect("expired", x.Answer, caller.NotFound, caller.FromDisk)
	if x.Memory != "expired" || x.UpstreamWhy != "unknown" {
		t.Errorf("memory %q, why %q; want expired, unknown", x.Memory, x.UpstreamWhy)
	}
	anna := person(1, "Anna", numberA)
	anna.Version.Updated++
	b.mirrored(anna)
	x = b.explain(numberA)
	b.expect("changed", x.Answer, caller.Found, caller.FromDisk, "Anna")
	if x.Memory != "changed" || len(b.left()) != 1 {
		t.Errorf("memory %q with %v, want changed, and left as it is", x.Memory, b.left())
	}
}

func TestExplainWhatZendeskWouldBeAsked(t *testing.T) {
	b := setUp(t)
	x := b.explain(numberA)
	b.expect("nobody is known, and nothing proved", x.Answer, caller.Unavailable, caller.FromNowhere)
	if x.UpstreamWhy != "unknown" || !slices.Equal(x.Upstream, []string{callSearch}) || x.Answer.Reason != "unproven" {
		t.Errorf("why %q, calls %q, reason %q; want unknown, the search, unproven", x.UpstreamWhy, x.Upstream, x.Answer.Reason)
	}
	b.mirrored(person(1, "Ann", numberA))
	x = b.explain(numberA)
	b.expect("known, and nothing proved", x.Answer, caller.Found, caller.FromDisk, "Ann")
	if x.UpstreamWhy != "unproven" || !x.Answer.Stale || !slices.Equal(x.Upstream, []string{callSearch, callPeople, callTickets}) {
		t.Errorf("why %q, stale %v, calls %q", x.UpstreamWhy, x.Answer.Stale, x.Upstream)
	}
	b.filled()
	x = b.Explain(t.Context(), caller.Query{ANI: numberA, Fresh: true})
	if x.UpstreamWhy != "fresh" || !x.Answer.Stale || len(x.Upstream) != 3 {
		t.Errorf("why %q, stale %v, calls %q", x.UpstreamWhy, x.Answer.Stale, x.Upstream)
	}
	x = b.explain("anonymous")
	b.expect("no number", x.Answer, caller.Anonymous, caller.FromNowhere)
	if x.Class != "anonymous" || x.Reason != "word" || x.Upstream != nil || x.UpstreamWhy != "" {
		t.Errorf("class %q, reason %q, why %q, calls %q", x.Class, x.Reason, x.UpstreamWhy, x.Upstream)
	}
}

func TestExplainARefreshBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := setUpBehind(t)
		g.hold = make(chan struct{})
		b.pass(6 * time.Minute)
		x := b.explain(numberA)
		if x.UpstreamWhy != "stale" || len(x.Upstream) != 3 || x.Refreshing || !x.RefreshNotBefore.IsZero() {
			t.Errorf("before: why %q, calls %q, refreshing %v, not before %v", x.UpstreamWhy, x.Upstream, x.Refreshing, x.RefreshNotBefore)
		}
		asked := b.clock()
		b.ask(numberA)
		synctest.Wait()
		x = b.explain(numberA)
		if x.UpstreamWhy != "" || !x.Refreshing || !x.RefreshNotBefore.Equal(asked.Add(5*time.Minute)) {
			t.Errorf("meanwhile: why %q, refreshing %v, not before %v", x.UpstreamWhy, x.Refreshing, x.RefreshNotBefore)
		}
		close(g.hold)
		synctest.Wait()
		x = b.explain(numberA)
		b.expect("after", x.Answer, caller.Found, caller.FromMemory, "Anna")
		if x.UpstreamWhy != "" || x.Refreshing || !x.Walked.Equal(asked) {
			t.Errorf("after: why %q, refreshing %v, walked %v", x.UpstreamWhy, x.Refreshing, x.Walked)
		}
	})
}

// scene makes a random state of everything that a lookup decides on.
func scene(t *testing.T, r *rand.Rand) (*bench, caller.Query) {
	b := setUp(t, func(o *Options) {
		if r.IntN(3) > 0 {
			o.Behind = o.Live
		}
		if r.IntN(4) == 0 {
			o.CatchingUp = func() bool { return true }
		}
	})
	if r.IntN(4) > 0 {
		b.filled()
	}
	for id := int64(1); id <= int64(r.IntN(4)); id++ {
		u := person(id, fmt.Sprint("Person ", id), numberA)
		if r.IntN(3) == 0 {
			u = withIdentity(person(id, u.User.Name, ""), numberA)
		}
		if r.IntN(4) == 0 {
			u.User.Role = "agent"
		}
		b.live.people[id] = u
		b.live.tickets[id] = []caller.TicketUpdate{openTicket(10+id, id)}
		b.mirrored(u)
		b.apply(caller.Batch{Tickets: b.live.tickets[id]})
	}
	q := caller.Query{ANI: numberA, Fresh: r.IntN(4) == 0, WithTickets: r.IntN(3) == 0}
	for range r.IntN(4) {
		switch r.IntN(5) {
		case 0:
			b.ask(numberA)
			b.memory.cache.Wait()
			synctest.Wait()
		case 1:
			b.pass(time.Duration(r.IntN(8)) * time.Minute)
		case 2:
			b.filled()
		case 3:
			b.Purge()
		case 4:
			b.pass(time.Second)
			b.apply(caller.Batch{Gone: []caller.Gone{{Stream: caller.Users, ID: 1, Sent: b.clock().UnixNano()}}})
			b.live.set(func() { delete(b.live.people, 1) })
		}
	}
	b.live.asked()
	return b, q
}

// Whatever the state, what is explained is what a lookup does then: the same
// answer, and the same calls in the same order. And explaining leaves no trace.
func TestExplainAgreesWithLookup(t *testing.T) {
	worlds := 200
	if testing.Short() {
		worlds = 40
	}
	seen := map[string]int{}
	for seed := range uint64(worlds) {
		synctest.Test(t, func(t *testing.T) {
			b, q := scene(t, rand.New(rand.NewPCG(seed, 4)))
			before, held := b.Stats(), b.memory.get(15135557611)
			x := b.Explain(t.Context(), q)
			if after := b.Stats(); after != before || b.memory.get(15135557611) != held {
				t.Errorf("seed %d: explaining changed %+v to %+v", seed, before, after)
			}
			if calls := b.live.asked(); calls != nil {
				t.Errorf("seed %d: explaining asked Zendesk %q", seed, calls)
			}
			without := q
			without.AllowLive = func() bool { return false }
			seen[x.Memory]++
			seen[x.UpstreamWhy]++
			if x.UpstreamWhy == "" || x.UpstreamWhy == refreshStale {
				a := b.Lookup(t.Context(), q)
				if diff := cmp.Diff(a, x.Answer); diff != "" {
					t.Errorf("seed %d: looked up (-), explained (+):\n%s", seed, diff)
				}
			} else if a := b.Lookup(t.Context(), without); len(a.Callers) > 0 {
				a.Reason = x.Answer.Reason
				if diff := cmp.Diff(a, x.Answer); diff != "" {
					t.Errorf("seed %d: looked up without Zendesk (-), explained (+):\n%s", seed, diff)
				}
			} else if len(x.Answer.Callers) > 0 {
				t.Errorf("seed %d: %s is explained, and nobody is known", seed, x.Answer.Outcome)
			}
			b.Lookup(t.Context(), q)
			synctest.Wait()
			if diff := cmp.Diff(b.live.asked(), x.Upstream); diff != "" {
				t.Errorf("seed %d, why %q: Zendesk was asked (-), explained (+):\n%s", seed, x.UpstreamWhy, diff)
			}
		})
	}
	for _, what := range []string{"answer", "nobody", "nothing", "changed", "expired", "unproven", "", "fresh", "unknown", "stale"} {
		if seen[what] == 0 {
			t.Errorf("no state in which memory or the reason is %q: they prove little: %v", what, seen)
		}
	}
}
