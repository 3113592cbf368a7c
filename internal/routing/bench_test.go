package routing

import (
	"fmt"
	"testing"
	"time"
)

// fiftyRules are as many as a large contact centre may have; none but the last
// holds for a known call, though most come close: their outcome and ticket are
// the call's.
func fiftyRules() []Rule {
	rules := make([]Rule, 0, 50)
	for i := range 49 {
		w := Condition{Severity: []string{"urgent", "high"}, TicketStatus: []string{"new", "open"}}
		switch i % 7 {
		case 0:
			w.TicketTagsAny = []string{fmt.Sprintf("product%d", i), "churn", "legal"}
		case 1:
			w.UserTagsAny = []string{fmt.Sprintf("tier%d", i), "press"}
		case 2:
			w.DNIS = []string{fmt.Sprintf("+151355502%02d", i)}
		case 3:
			w.Language = []string{[]string{"fr", "de", "it", "pt", "nl", "pl", "sv"}[i/7]}
		case 4:
			w.TicketAgeMin = new(time.Duration(100+i) * time.Hour)
		case 5:
			w.AgentsAvailableMin, w.EWTMax = new(3+i), new(time.Minute)
		case 6:
			w.TicketType, w.OrganizationID = []string{"question"}, []int64{int64(i)}
		}
		rules = append(rules, Rule{Name: fmt.Sprintf("rule %d", i+1), When: w, Then: Result{QueuePriority: 2}})
	}
	return append(rules, Rule{Name: "last", When: Condition{UnresolvedMin: new(2)}, Then: Result{Action: "queue", QueueID: queueA}})
}

func TestDecidingAllocatesNothing(t *testing.T) {
	r, f := mustRoute(t, fiftyRules()), known()
	var d Decision
	if n := testing.AllocsPerRun(100, func() { d = r.Decide(&f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d.Rule != "last" {
		t.Errorf("rule %q decided: the others were to be passed by", d.Rule)
	}
}

func BenchmarkDecide(b *testing.B) {
	benchmarks := []struct {
		name  string
		rules []Rule
		facts Facts
	}{
		{"no rules", nil, known()},
		{"the first of 5", sampleRules(), known()},
		{"the last of 50", fiftyRules(), known()},
		{"none of 50", fiftyRules(), nothing("not_found")},
	}
	for _, bb := range benchmarks {
		b.Run(bb.name, func(b *testing.B) {
			r := mustRoute(b, bb.rules)
			b.ReportAllocs()
			for b.Loop() {
				r.Decide(&bb.facts)
			}
		})
	}
}

// BenchmarkCheck is paid once, at start.
func BenchmarkCheck(b *testing.B) {
	rules := fiftyRules()
	b.ReportAllocs()
	for b.Loop() {
		Check(rules)
	}
}
