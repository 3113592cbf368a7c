package config

import (
	"fmt"
	"reflect"
	"time"
)

// Routing is [routing].
type Routing struct {
	// Rules are tried in order.
	Rules []Rule `toml:"rules"`
}

// Rule is one [[routing.rules]].
type Rule struct {
	Name string `toml:"name" maxlen:"64"`
	When When   `toml:"when"`
	Then Then   `toml:"then"`
}

// When is all that must hold for a rule to give its answer. A list holds if
// one of its words does; an absent condition (nil) asks nothing. Times are
// durations, counts are of people and tickets.
type When struct {
	Severity           []string       `toml:"severity" nonempty:"true" oneof:"urgent|high|normal|low|none"`
	TicketPriority     []string       `toml:"ticket_priority" nonempty:"true" oneof:"urgent|high|normal|low"`
	TicketStatus       []string       `toml:"ticket_status" nonempty:"true" oneof:"new|open|pending|hold"`
	TicketType         []string       `toml:"ticket_type" nonempty:"true" oneof:"problem|incident|question|task"`
	TicketTagsAny      []string       `toml:"ticket_tags_any" nonempty:"true" format:"tag"`
	UserTagsAny        []string       `toml:"user_tags_any" nonempty:"true" format:"tag"`
	OrganizationID     []int64        `toml:"organization_id" nonempty:"true"`
	UnresolvedMin      *int           `toml:"unresolved_min" min:"0" max:"100000"`
	TicketAgeMin       *time.Duration `toml:"ticket_age_min" min:"0s" max:"87600h"`
	Outcome            []string       `toml:"outcome" nonempty:"true" oneof:"found|not_found|ambiguous|anonymous|short_code|invalid|unavailable"`
	DNIS               []string       `toml:"dnis" nonempty:"true" format:"number"`
	Language           []string       `toml:"language" nonempty:"true" format:"any-language"`
	AgentsAvailableMin *int           `toml:"agents_available_min" min:"0" max:"100000"`
	AgentsAvailableMax *int           `toml:"agents_available_max" min:"0" max:"100000"`
	EWTMin             *time.Duration `toml:"ewt_min" min:"0s" max:"24h"`
	EWTMax             *time.Duration `toml:"ewt_max" min:"0s" max:"24h"`
}

// Then is a rule's answer; "" and 0 leave the field as it is without a rule.
type Then struct {
	QueuePriority int    `toml:"queue_priority" min:"1" max:"9"`
	QueueID       string `toml:"queue_id" format:"uuid"`
	QueueName     string `toml:"queue_name" maxlen:"128"`
	SkillValue    string `toml:"skill_value" maxlen:"128"`
	Action        string `toml:"action" format:"word"`
	BusyAction    string `toml:"busy_action" format:"word"`
	BusyQueueID   string `toml:"busy_queue_id" format:"uuid"`
}

// checkRouting finds what no single key can tell: names used twice, limits
// that exclude each other, and rules that no call will ever reach.
func (l *loader) checkRouting() {
	named := map[string]int{}
	always := 0 // the first rule that holds for every call, counted from 1
	for i := range l.config.Routing.Rules {
		r, n, at := &l.config.Routing.Rules[i], i+1, fmt.Sprintf("routing.rules[%d]", i+1)
		if first, twice := named[r.Name]; twice && r.Name != "" {
			l.report(at+".name", fmt.Sprintf("must differ from that of rule %d: route_rule could not tell the two apart", first))
		} else {
			named[r.Name] = n
		}
		if r.Name == "" && l.sound(at+".name") {
			l.report(at+".name", "is missing: every rule has a name of its own, which the answer's route_rule gives")
		}
		if reflect.ValueOf(r.Then).IsZero() && l.sound(at+".then") {
			l.report(at+".then", "is missing: a rule says at least one thing, such as queue_priority = 3")
		}
		l.checkLimits(at+".when", &r.When)
		if !l.sound(at + ".when") {
			continue // a condition that could not be read may be what tells it apart
		}
		if always != 0 {
			l.report(at, fmt.Sprintf("can never give an answer: rule %d before it has no condition and holds for every call", always))
			continue
		}
		if reflect.ValueOf(r.When).IsZero() {
			always = n
			continue
		}
		l.checkRepeated(at, i)
	}
}

// checkRepeated reports a rule whose conditions are those of an earlier one.
func (l *loader) checkRepeated(at string, i int) {
	rules := l.config.Routing.Rules
	for j := range i {
		if reflect.DeepEqual(rules[j].When, rules[i].When) {
			l.report(at+".when", fmt.Sprintf("can never be reached: rule %d has the same conditions", j+1))
			return
		}
	}
}

func (l *loader) checkLimits(at string, w *When) {
	if w.AgentsAvailableMin != nil && w.AgentsAvailableMax != nil && *w.AgentsAvailableMin > *w.AgentsAvailableMax {
		l.report(at+".agents_available_min", "must not be above agents_available_max: the rule could never hold")
	}
	if w.EWTMin != nil && w.EWTMax != nil && *w.EWTMin > *w.EWTMax {
		l.report(at+".ewt_min", "must not be above ewt_max: the rule could never hold")
	}
}
