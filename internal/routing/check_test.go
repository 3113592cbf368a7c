package routing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckFindsWhatIsWrong(t *testing.T) {
	when := func(c Condition) Rule { return Rule{Name: "r", When: c} }
	then := func(r Result) Rule { return Rule{Name: "r", Then: r} }
	const noText = "must not have control characters, double quotes or backslashes"
	const uuid = `must be a queue id, a UUID such as "123e4567-e89b-12d3-a456-426614174000"`
	const number = `must be a phone number with its country's code, such as "+15135550100"`
	const tag = "must be tags, each one word without commas"
	const unnamed = "is missing: every rule has a name of its own, which the answer's route_rule gives"
	tests := []struct {
		name string
		rule Rule
		want []Fault
	}{
		{"nothing", contractLike(), nil},
		{"everything there is", Rule{Name: "L'équipe Ω 1", When: every()}, nil},
		{"no name", Rule{}, []Fault{{Key: "name", Problem: unnamed}}},
		{"a blank name", Rule{Name: " "}, []Fault{{Key: "name", Problem: unnamed}}},
		{"a name of two lines", Rule{Name: "a\nb"}, []Fault{{Key: "name", Problem: noText}}},
		{"a name of 257 characters", Rule{Name: strings.Repeat("é", 257)}, []Fault{{Key: "name", Problem: "must have at most 256 characters"}}},
		{"a name of 256 characters", Rule{Name: strings.Repeat("é", 256)}, nil},
		{"a severity in capitals", when(Condition{Severity: []string{"High"}}), []Fault{
			{Key: "when.severity", Problem: `"High" must be one of urgent, high, normal, low, none; did you mean "high"?`}}},
		{"a severity nobody can guess", when(Condition{Severity: []string{"critical"}}), []Fault{
			{Key: "when.severity", Problem: `"critical" must be one of urgent, high, normal, low, none`}}},
		{"a priority that is only a severity", when(Condition{TicketPriority: []string{"none"}}), []Fault{
			{Key: "when.ticket_priority", Problem: `"none" must be one of urgent, high, normal, low`}}},
		{"a status that no caller's ticket has", when(Condition{TicketStatus: []string{"open", "solved"}}), []Fault{
			{Key: "when.ticket_status", Problem: `"solved" must be one of new, open, pending, hold`}}},
		{"two types mistyped", when(Condition{TicketType: []string{"incidnet", "qestion"}}), []Fault{
			{Key: "when.ticket_type", Problem: `"incidnet" must be one of problem, incident, question, task; did you mean "incident"?`},
			{Key: "when.ticket_type", Problem: `"qestion" must be one of problem, incident, question, task; did you mean "question"?`}}},
		{"an outcome mistyped", when(Condition{Outcome: []string{"notfound"}}), []Fault{
			{Key: "when.outcome", Problem: `"notfound" must be one of found, not_found, ambiguous, anonymous, short_code, invalid, unavailable; did you mean "not_found"?`}}},
		{"a long word is cut", when(Condition{Outcome: []string{strings.Repeat("ü\n", 99)}}), []Fault{
			{Key: "when.outcome", Problem: `"` + strings.Repeat(`ü\n`, 16) + `" must be one of found, not_found, ambiguous, anonymous, short_code, invalid, unavailable`}}},
		{"an empty tag", when(Condition{TicketTagsAny: []string{""}}), []Fault{{Key: "when.ticket_tags_any", Problem: tag}}},
		{"tags in one text", when(Condition{UserTagsAny: []string{"vip,beta", "a b"}}), []Fault{
			{Key: "when.user_tags_any", Problem: tag}, {Key: "when.user_tags_any", Problem: tag}}},
		{"a tag that ends a text", when(Condition{TicketTagsAny: []string{`a"b`}}), []Fault{{Key: "when.ticket_tags_any", Problem: noText}}},
		{"an organization that is none", when(Condition{OrganizationID: []int64{0, 5, -1}}), []Fault{
			{Key: "when.organization_id", Problem: "0 must be above 0: it is the id of an organization in Zendesk"},
			{Key: "when.organization_id", Problem: "-1 must be above 0: it is the id of an organization in Zendesk"}}},
		{"numbers not in E.164", when(Condition{DNIS: []string{"5135550100", "+05135550100", "+1 513", "+1234567890123456", ""}}), []Fault{
			{Key: "when.dnis", Problem: number}, {Key: "when.dnis", Problem: number}, {Key: "when.dnis", Problem: number},
			{Key: "when.dnis", Problem: number}, {Key: "when.dnis", Problem: number}}},
		{"a language with its region", when(Condition{Language: []string{"es-MX"}}), []Fault{
			{Key: "when.language", Problem: `"es-MX" must be a language without its region: write "es"`}}},
		{"a language in capitals", when(Condition{Language: []string{"ES"}}), []Fault{
			{Key: "when.language", Problem: `"ES" must be a language without its region: write "es"`}}},
		{"languages that are none", when(Condition{Language: []string{"", "und", "spanish!", strings.Repeat("e", 99)}}), []Fault{
			{Key: "when.language", Problem: `"" must be a language, such as "es"`},
			{Key: "when.language", Problem: `"und" must be a language, such as "es"`},
			{Key: "when.language", Problem: `"spanish!" must be a language, such as "es"`},
			{Key: "when.language", Problem: `"` + strings.Repeat("e", 32) + `" must be a language, such as "es"`}}},
		{"limits below 0", when(Condition{
			UnresolvedMin: new(-1), TicketAgeMin: new(-time.Second), AgentsAvailableMin: new(-1), AgentsAvailableMax: new(-1),
			EWTMin: new(-time.Second), EWTMax: new(-time.Second),
		}), []Fault{
			{Key: "when.unresolved_min", Problem: "must not be negative"}, {Key: "when.ticket_age_min", Problem: "must not be negative"},
			{Key: "when.agents_available_min", Problem: "must not be negative"}, {Key: "when.agents_available_max", Problem: "must not be negative"},
			{Key: "when.ewt_min", Problem: "must not be negative"}, {Key: "when.ewt_max", Problem: "must not be negative"}}},
		{"a priority above the highest", then(Result{QueuePriority: -1}), []Fault{
			{Key: "then.queue_priority", Problem: "must be from 1, the highest, to 9: Webex takes anything else as the lowest"}}},
		{"a priority below the lowest", then(Result{QueuePriority: 10}), []Fault{
			{Key: "then.queue_priority", Problem: "must be from 1, the highest, to 9: Webex takes anything else as the lowest"}}},
		{"queues by their names", then(Result{QueueID: "Sales", BusyQueueID: "123e4567-e89b-12d3-a456-42661417400g"}), []Fault{
			{Key: "then.queue_id", Problem: uuid}, {Key: "then.busy_queue_id", Problem: uuid}}},
		{"a queue's id in capitals", then(Result{QueueID: strings.ToUpper(queueA)}), nil},
		{"texts that would break the flow", then(Result{QueueName: `"a"`, SkillValue: "\x00", Action: `a\b`, BusyAction: "a\u202eb"}), []Fault{
			{Key: "then.queue_name", Problem: noText}, {Key: "then.skill_value", Problem: noText},
			{Key: "then.action", Problem: noText}, {Key: "then.busy_action", Problem: noText}}},
		{"a text that is none", then(Result{Action: "\xff"}), []Fault{{Key: "then.action", Problem: noText}}},
		{"a queue and a skill", then(Result{QueueID: queueA, SkillValue: "tier2"}), []Fault{{
			Key:     "then.skill_value",
			Problem: "has no effect beside queue_id where a flow takes the queue: Webex routes by skill only into the queue of the flow itself", Kind: Doubtful}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Check([]Rule{tt.rule})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
			wrong := false
			for _, f := range got {
				wrong = wrong || f.Kind == Wrong
			}
			if _, err := New([]Rule{tt.rule}); (err != nil) != wrong {
				t.Errorf("New: %v, though Check finds %v", err, got)
			}
		})
	}
}

// contractLike is the contract's rule with one of queue and skill.
func contractLike() Rule {
	r := contractRule()
	r.Then.SkillValue = ""
	return r
}

func TestTheSampleRulesAreSound(t *testing.T) {
	rules := sampleRules()
	rules[0] = contractLike()
	if diff := cmp.Diff([]Fault(nil), Check(rules)); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
}

func TestFaultsComeInTheOrderOfTheRules(t *testing.T) {
	got := Check([]Rule{
		{Name: "all"},
		{Name: "all", Then: Result{QueuePriority: 12}},
		{Name: "third", When: Condition{DNIS: []string{"1"}}},
	})
	want := []string{
		"routing.rules[2].name: must differ from that of rule 1: route_rule could not tell the two apart",
		"routing.rules[2].then.queue_priority: must be from 1, the highest, to 9: Webex takes anything else as the lowest",
		`routing.rules[2]: can never give an answer: rule 1 ("all") before it holds for every call that this one holds for`,
		`routing.rules[3].when.dnis: must be a phone number with its country's code, such as "+15135550100"`,
	}
	var lines []string
	for i := range got {
		lines = append(lines, got[i].Error())
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
}

func TestCheckFindsRulesThatContradictThemselves(t *testing.T) {
	const and = " exclude each other: the rule could never hold"
	tests := []struct {
		name    string
		when    Condition
		key     string
		problem string
	}{
		{"more agents than at most", Condition{AgentsAvailableMin: new(3), AgentsAvailableMax: new(2)},
			"when.agents_available_min", "must not be above agents_available_max: the rule could never hold"},
		{"a longer wait than at most", Condition{EWTMin: new(time.Minute), EWTMax: new(time.Second)},
			"when.ewt_min", "must not be above ewt_max: the rule could never hold"},
		{"a priority of another severity", Condition{Severity: []string{"urgent"}, TicketPriority: []string{"high", "low"}}, "when", "severity and ticket_priority" + and},
		{"a priority without a severity", Condition{Severity: []string{"none"}, TicketPriority: []string{"urgent", "high", "normal", "low"}}, "when", "severity and ticket_priority" + and},
		{"an incident without a severity", Condition{Severity: []string{"none"}, TicketType: []string{"incident", "problem"}}, "when", "severity and ticket_type" + and},
		{"a ticket of nobody", Condition{Outcome: []string{"not_found"}, TicketStatus: []string{"open"}}, "when", "ticket_status and outcome" + and},
		{"a tag of several people", Condition{Outcome: []string{"ambiguous", "anonymous"}, UserTagsAny: []string{"vip"}, DNIS: []string{"+15135550100"}}, "when", "user_tags_any and outcome" + and},
		{"an organization of nobody", Condition{Outcome: []string{"invalid"}, OrganizationID: []int64{1}}, "when", "organization_id and outcome" + and},
		{"a count of nobody", Condition{Outcome: []string{"unavailable"}, UnresolvedMin: new(0)}, "when", "unresolved_min and outcome" + and},
		{"a severity of nobody", Condition{Outcome: []string{"short_code"}, Severity: []string{"urgent", "high", "normal", "low"}}, "when", "severity and outcome" + and},
		{"an age of nobody", Condition{Outcome: []string{"anonymous"}, TicketAgeMin: new(time.Hour)}, "when", "ticket_age_min and outcome" + and},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := []Fault{{Key: tt.key, Problem: tt.problem, Kind: Dead}}
			if diff := cmp.Diff(want, Check([]Rule{{Name: "r", When: tt.when}})); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckFindsRulesThatOthersOvertake(t *testing.T) {
	const together = "before it together hold for every call that this one holds for"
	const one = `rule 1 ("1") before it holds for every call that this one holds for`
	ticket := Condition{TicketStatus: []string{"new", "open", "pending", "hold"}}
	tests := []struct {
		name string
		when []Condition
		want string // of the last rule; "" where it can answer
	}{
		{"alone", []Condition{{}}, ""},
		{"after one without conditions", []Condition{{}, every()}, one},
		{"the same conditions", []Condition{every(), every()}, one},
		{"the same words in another order", []Condition{{Severity: []string{"low", "high"}}, {Severity: []string{"high", "low", "low"}}}, one},
		{"fewer words", []Condition{{Outcome: []string{"found", "ambiguous"}}, {Outcome: []string{"found"}}}, one},
		{"more words", []Condition{{Outcome: []string{"found"}}, {Outcome: []string{"found", "ambiguous"}}}, ""},
		{"one condition more", []Condition{{DNIS: []string{"+15135550100"}}, {DNIS: []string{"+15135550100"}, Language: []string{"es"}}}, one},
		{"one condition fewer", []Condition{{DNIS: []string{"+15135550100"}, Language: []string{"es"}}, {DNIS: []string{"+15135550100"}}}, ""},
		{"a severity that a priority makes", []Condition{{Severity: []string{"urgent"}}, {TicketPriority: []string{"urgent"}}}, one},
		{"a priority that a severity may lack", []Condition{{TicketPriority: []string{"high"}}, {Severity: []string{"high"}}}, ""},
		{"an urgent severity has a priority", []Condition{{TicketPriority: []string{"urgent"}}, {Severity: []string{"urgent"}}}, one},
		{"a ticket's caller is found", []Condition{{Outcome: []string{"found"}}, {TicketType: []string{"task"}}}, one},
		{"a ticket has a status", []Condition{ticket, {TicketTagsAny: []string{"vip"}}}, one},
		{"a ticket need not have a type", []Condition{{TicketType: []string{"problem", "incident", "question", "task"}}, {TicketStatus: []string{"open"}}}, ""},
		{"a ticket is one unresolved", []Condition{{UnresolvedMin: new(1)}, {TicketPriority: []string{"low"}}}, one},
		{"a ticket need not be two", []Condition{{UnresolvedMin: new(2)}, {TicketPriority: []string{"low"}}}, ""},
		{"more unresolved are enough", []Condition{{UnresolvedMin: new(2)}, {UnresolvedMin: new(3), UserTagsAny: []string{"a"}}}, one},
		{"a found caller has a count", []Condition{{UnresolvedMin: new(0)}, {Outcome: []string{"found"}}}, one},
		{"a caller not found has none", []Condition{{UnresolvedMin: new(0)}, {Outcome: []string{"found", "not_found"}}}, ""},
		{"older is old enough", []Condition{{TicketAgeMin: new(time.Hour)}, {TicketAgeMin: new(2 * time.Hour)}}, one},
		{"younger is not", []Condition{{TicketAgeMin: new(2 * time.Hour)}, {TicketAgeMin: new(time.Hour)}}, ""},
		{"tags in capitals", []Condition{{UserTagsAny: []string{"VIP"}}, {UserTagsAny: []string{"vip"}}}, one},
		{"some of the tags", []Condition{{UserTagsAny: []string{"a", "b", "c"}}, {UserTagsAny: []string{"c", "a"}}}, one},
		{"one of the tags, twice", []Condition{{UserTagsAny: []string{"a", "b"}}, {UserTagsAny: []string{"a", "a"}}}, one},
		{"a tag more", []Condition{{UserTagsAny: []string{"a"}}, {UserTagsAny: []string{"a", "b"}}}, ""},
		{"a user's tag is no ticket's", []Condition{{UserTagsAny: []string{"a"}}, {TicketTagsAny: []string{"a"}}}, ""},
		{"narrower limits", []Condition{{AgentsAvailableMin: new(1), AgentsAvailableMax: new(9)}, {AgentsAvailableMin: new(2), AgentsAvailableMax: new(9)}}, one},
		{"wider limits", []Condition{{AgentsAvailableMin: new(2), AgentsAvailableMax: new(9)}, {AgentsAvailableMin: new(1), AgentsAvailableMax: new(9)}}, ""},
		{"known agents are not all calls", []Condition{{AgentsAvailableMin: new(0)}, {}}, ""},
		{"an upper limit alone is met by any known number below", []Condition{{EWTMin: new(0 * time.Second)}, {EWTMax: new(time.Minute)}}, one},

		{"two halves of the outcomes", []Condition{
			{Outcome: []string{"found", "not_found", "ambiguous"}}, {Language: []string{"es"}},
			{Outcome: []string{"anonymous", "short_code", "invalid", "unavailable"}}, {DNIS: []string{"+15135550100"}},
		}, "rules 1 and 3 " + together},
		{"two halves of a list", []Condition{{TicketTagsAny: []string{"a"}}, {TicketTagsAny: []string{"b"}}, {TicketTagsAny: []string{"a", "b"}}}, "rules 1 and 2 " + together},
		{"two thirds of a list", []Condition{{TicketTagsAny: []string{"a"}}, {TicketTagsAny: []string{"b"}}, {TicketTagsAny: []string{"a", "b", "c"}}}, ""},
		{"limits that meet", []Condition{{AgentsAvailableMax: new(2)}, {AgentsAvailableMin: new(3)}, {AgentsAvailableMin: new(1)}}, "rules 1 and 2 " + together},
		{"limits that leave a gap", []Condition{{AgentsAvailableMax: new(2)}, {AgentsAvailableMin: new(4)}, {AgentsAvailableMin: new(1)}}, ""},
		{"waits that meet to the nanosecond", []Condition{{EWTMax: new(time.Minute)}, {EWTMin: new(time.Minute + 1)}, {EWTMin: new(time.Second)}}, "rules 1 and 2 " + together},
		{"severities, the last by outcome and type", []Condition{
			{Severity: []string{"urgent", "high"}}, {Severity: []string{"normal", "low"}}, {TicketType: []string{"question", "task"}},
			{TicketType: []string{"problem", "incident", "question"}},
		}, "rules 1, 2 and 3 " + together},
		{"a ticket without priority and type is left over", []Condition{
			{Severity: []string{"urgent", "high", "normal", "low"}}, {TicketType: []string{"question", "task"}}, {TicketStatus: []string{"hold"}},
		}, ""},
		{"languages split by numbers called", []Condition{
			{Language: []string{"es"}, DNIS: []string{"+15135550100"}}, {Language: []string{"es"}, DNIS: []string{"+15135550101"}},
			{Language: []string{"fr"}}, {Language: []string{"es", "fr"}, DNIS: []string{"+15135550100", "+15135550101"}},
		}, "rules 1, 2 and 3 " + together},
		{"one corner of it is left over", []Condition{
			{Language: []string{"es"}, DNIS: []string{"+15135550100"}}, {Language: []string{"fr"}, DNIS: []string{"+15135550101"}},
			{Language: []string{"fr"}, DNIS: []string{"+15135550100"}}, {Language: []string{"es", "fr"}, DNIS: []string{"+15135550100", "+15135550101"}},
		}, ""},
		{"a rule that is dead takes nothing from those after it", []Condition{
			{Outcome: []string{"anonymous"}, TicketStatus: []string{"open"}}, {Outcome: []string{"anonymous"}},
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var rules []Rule
			for i, w := range tt.when {
				rules = append(rules, Rule{Name: string(rune('1' + i)), When: w})
			}
			last := len(rules) - 1
			var want, got []Fault
			if tt.want != "" {
				want = []Fault{{Rule: last, Problem: "can never give an answer: " + tt.want, Kind: Dead}}
			}
			for _, f := range Check(rules) {
				if f.Rule == last {
					got = append(got, f)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARuleThatCannotBeReadSaysNothingOfOthers(t *testing.T) {
	unread := Rule{Name: "unread", When: Condition{Severity: []string{"hihg"}}}
	got := Check([]Rule{unread, {Name: "all", When: Condition{}}, unread})
	for _, f := range got {
		if f.Kind == Dead {
			t.Errorf("%v", &f)
		}
	}
	if len(got) != 3 { // two words and one name used twice
		t.Errorf("Check finds %v", got)
	}
}

func TestASearchThatTakesTooLongLetsARulePass(t *testing.T) {
	languages := []string{"de", "en", "es"}
	rulesFor := func(side int) []Rule {
		var tags, numbers []string
		for i := range side {
			tags = append(tags, fmt.Sprintf("tag%d", i))
			numbers = append(numbers, fmt.Sprintf("+15135550%03d", i))
		}
		// Every tag with every number and language has a rule of its own.
		var rules []Rule
		for _, tag := range tags {
			for _, number := range numbers {
				for _, l := range languages {
					rules = append(rules, Rule{Name: tag + number + l, When: Condition{
						TicketTagsAny: []string{tag}, DNIS: []string{number}, Language: []string{l},
					}})
				}
			}
		}
		return append(rules, Rule{Name: "last", When: Condition{TicketTagsAny: tags, DNIS: numbers, Language: languages}})
	}
	few := rulesFor(6) // 6 · 6 · 3 choices
	if got := Check(few); len(got) != 1 || got[0].Rule != len(few)-1 || got[0].Kind != Dead {
		t.Errorf("few rules: Check finds %v", got)
	}
	many := rulesFor(30) // 30 · 30 · 3 choices are more than mostSteps
	if got := Check(many); len(got) != 0 {
		t.Errorf("many rules: Check finds %v", got)
	}
}
