package routing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Kind is how much is wrong.
type Kind int

// The kinds of faults.
const (
	// Wrong cannot be followed: New refuses it.
	Wrong Kind = iota
	// Dead is a rule that can never give an answer. The others work as if it
	// were not there.
	Dead
	// Doubtful works, and may not be what was meant.
	Doubtful
)

// Fault is one thing wrong with the rules.
type Fault struct {
	Rule    int    // counted from 0
	Key     string // such as "when.severity" or "then.queue_id"; "" for the whole rule
	Problem string // what is wrong and what is allowed, to follow the key
	Kind    Kind
}

// Error places the fault as config.toml's faults are placed: rules are counted
// from 1.
func (f *Fault) Error() string {
	at := "routing.rules[" + strconv.Itoa(f.Rule+1) + "]"
	if f.Key != "" {
		at += "." + f.Key
	}
	return at + ": " + f.Problem
}

// Check finds all that is wrong with rules, in their order: what [New] refuses,
// the rules that no call can ever reach, and answers that are hardly meant. It
// speaks of the calls that lookups make: a ticket belongs to a found caller and
// is unresolved.
func Check(rules []Rule) []Fault {
	perRule := faultsOf(rules)
	dead := unreachable(rules, perRule)
	var all []Fault
	for i := range rules {
		all = append(all, perRule[i]...)
		if f, is := dead[i]; is {
			all = append(all, f)
		}
	}
	return all
}

// faultsOf lists what is wrong with each rule by itself, and names used twice.
func faultsOf(rules []Rule) [][]Fault {
	named := map[string]int{}
	perRule := make([][]Fault, len(rules))
	for i := range rules {
		c := checker{rule: i}
		c.name(rules[i].Name, named)
		c.when(&rules[i].When)
		c.then(&rules[i].Then)
		perRule[i] = c.faults
	}
	return perRule
}

// conditionsUnread tells whether some condition could not be read.
func conditionsUnread(faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool { return f.Kind == Wrong && strings.HasPrefix(f.Key, "when.") })
}

// checker collects the faults of one rule.
type checker struct {
	rule   int
	faults []Fault
}

func (c *checker) report(key, format string, args ...any) {
	c.faults = append(c.faults, Fault{Rule: c.rule, Key: key, Problem: fmt.Sprintf(format, args...)})
}

func (c *checker) name(name string, named map[string]int) {
	if strings.TrimSpace(name) == "" {
		c.report("name", "is missing: every rule has a name of its own, which the answer's route_rule gives")
		return
	}
	c.text("name", name)
	if first, twice := named[name]; twice {
		c.report("name", "must differ from that of rule %d: route_rule could not tell the two apart", first+1)
		return
	}
	named[name] = c.rule
}

func (c *checker) when(w *Condition) {
	c.words("when.severity", w.Severity, severities)
	c.words("when.ticket_priority", w.TicketPriority, priorities)
	c.words("when.ticket_status", w.TicketStatus, statuses)
	c.words("when.ticket_type", w.TicketType, types)
	c.words("when.outcome", w.Outcome, outcomes)
	c.tags("when.ticket_tags_any", w.TicketTagsAny)
	c.tags("when.user_tags_any", w.UserTagsAny)
	for _, id := range w.OrganizationID {
		if id <= 0 {
			c.report("when.organization_id", "%d must be above 0: it is the id of an organization in Zendesk", id)
		}
	}
	for _, number := range w.DNIS {
		if !isE164(number) {
			c.report("when.dnis", `must be a phone number with its country's code, such as "+15135550100"`)
		}
	}
	for _, base := range w.Language {
		c.language("when.language", base)
	}
	notNegative(c, "when.unresolved_min", w.UnresolvedMin)
	notNegative(c, "when.ticket_age_min", w.TicketAgeMin)
	notNegative(c, "when.agents_available_min", w.AgentsAvailableMin)
	notNegative(c, "when.agents_available_max", w.AgentsAvailableMax)
	notNegative(c, "when.ewt_min", w.EWTMin)
	notNegative(c, "when.ewt_max", w.EWTMax)
}

func notNegative[T int | time.Duration](c *checker, key string, limit *T) {
	if limit != nil && *limit < 0 {
		c.report(key, "must not be negative")
	}
}

// words reports what is none of the words allowed.
func (c *checker) words(key string, given, allowed []string) {
	for _, word := range given {
		if slices.Contains(allowed, word) {
			continue
		}
		hint := ""
		if near := nearest(word, allowed); near != "" {
			hint = "; did you mean " + strconv.Quote(near) + "?"
		}
		c.report(key, "%s must be one of %s%s", quote(word), strings.Join(allowed, ", "), hint)
	}
}

func (c *checker) tags(key string, tags []string) {
	for _, tag := range tags {
		if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			c.report(key, "must be tags, each one word without commas")
		} else {
			c.text(key, tag)
		}
	}
}

func (c *checker) language(key, text string) {
	const longest = 64 // more is no tag, and not worth parsing
	if len(text) <= longest {
		if base, err := language.ParseBase(text); err == nil && base.String() == text && text != "und" {
			return
		}
		if tag, err := language.Parse(text); err == nil {
			// Raw, for Base guesses English where the tag says nothing.
			if base, _, _ := tag.Raw(); base.String() != "und" {
				c.report(key, "%s must be a language without its region: write %q", quote(text), base.String())
				return
			}
		}
	}
	c.report(key, `%s must be a language, such as "es"`, quote(text))
}

func (c *checker) then(t *Result) {
	if t.QueuePriority != 0 && (t.QueuePriority < priorityFirst || t.QueuePriority > priorityLast) {
		c.report("then.queue_priority", "must be from %d, the highest, to %d: Webex takes anything else as the lowest", priorityFirst, priorityLast)
	}
	c.queue("then.queue_id", t.QueueID)
	c.queue("then.busy_queue_id", t.BusyQueueID)
	c.text("then.queue_name", t.QueueName)
	c.text("then.skill_value", t.SkillValue)
	c.text("then.action", t.Action)
	c.text("then.busy_action", t.BusyAction)
	if t.QueueID != "" && t.SkillValue != "" {
		c.report("then.skill_value", "has no effect beside queue_id where a flow takes the queue: Webex routes by skill only into the queue of the flow itself")
		c.faults[len(c.faults)-1].Kind = Doubtful
	}
}

func (c *checker) queue(key, id string) {
	if id != "" && !isUUID(id) {
		c.report(key, `must be a queue id, a UUID such as "123e4567-e89b-12d3-a456-426614174000"`)
	}
}

// text reports what would not arrive in a flow as it was written: a variable
// holds 256 characters at its creation, and a double quote, a backslash or a
// character that is not to be seen breaks the JSON and the scripts that flow
// designers build of it. An apostrophe is a letter of many names.
func (c *checker) text(key, text string) {
	const longest = 256
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r == '"' || r == '\\' || !unicode.IsPrint(r) }):
		c.report(key, "must not have control characters, double quotes or backslashes")
	case utf8.RuneCountInString(text) > longest:
		c.report(key, "must have at most %d characters", longest)
	}
}

// isE164 tells whether a number is written with its country's code: at most 15
// digits (ITU-T E.164, 6.2.1), none of the codes beginning with 0.
func isE164(number string) bool {
	digits, plus := strings.CutPrefix(number, "+")
	return plus && len(digits) >= 2 && len(digits) <= 15 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

func isUUID(text string) bool {
	groups := strings.Split(text, "-")
	sizes := []int{8, 4, 4, 4, 12}
	if len(groups) != len(sizes) {
		return false
	}
	for i, size := range sizes {
		if len(groups[i]) != size || strings.Trim(groups[i], "0123456789abcdefABCDEF") != "" {
			return false
		}
	}
	return true
}
