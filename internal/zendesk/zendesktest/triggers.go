package zendesktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A trigger looks at each ticket that is created or saved, and where its
// conditions hold it notifies a webhook with the body that the admin wrote.
// Deletion, restoring and scrubbing pull no trigger. Of what triggers can do,
// the account does only that; an action or a condition that it does not know
// is refused, so that nobody waits for what never happens.

// triggerBase is where the ids of triggers begin.
const triggerBase = 6_130_880_000_000

// trigger is one as the API shows it.
type trigger struct {
	URL         string     `json:"url"`
	ID          int64      `json:"id"`
	Title       string     `json:"title"`
	RawTitle    string     `json:"raw_title"`
	Description string     `json:"description"`
	Active      bool       `json:"active"`
	Default     bool       `json:"default"`
	Position    int        `json:"position"`
	CategoryID  string     `json:"category_id"`
	Conditions  conditions `json:"conditions"`
	Actions     []action   `json:"actions"`
	CreatedAt   string     `json:"created_at"`
	UpdatedAt   string     `json:"updated_at"`
}

// conditions hold where every one of All holds and, if there are any, one of Any.
type conditions struct {
	All []condition `json:"all"`
	Any []condition `json:"any"`
}

type condition struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    any    `json:"value"`
}

type action struct {
	Field string `json:"field"`
	Value any    `json:"value"`
}

// notifies is the action of a webhook.
const notifies = "notification_webhook"

// notice reads the value of such an action: the webhook and the body.
func (a *action) notice() (webhook, body string, ok bool) {
	if a.Field != notifies {
		return "", "", false
	}
	list, _ := a.Value.([]any)
	if len(list) != 2 {
		return "", "", false
	}
	webhook, ok = list[0].(string)
	body, ok2 := list[1].(string)
	return webhook, body, ok && ok2
}

// triggerSent is the body of a POST or PUT.
type triggerSent struct {
	Title       *string     `json:"title"`
	Description *string     `json:"description"`
	Active      *bool       `json:"active"`
	Position    *int        `json:"position"`
	CategoryID  *string     `json:"category_id"`
	Conditions  *conditions `json:"conditions"`
	Actions     *[]action   `json:"actions"`
}

// onto puts what was sent over what was there. Conditions and actions go
// together: where one of the two is sent, both are replaced.
func (sent *triggerSent) onto(t trigger) trigger {
	set(&t.Title, sent.Title)
	set(&t.Description, sent.Description)
	set(&t.Active, sent.Active)
	set(&t.Position, sent.Position)
	set(&t.CategoryID, sent.CategoryID)
	t.RawTitle = t.Title
	if sent.Conditions != nil || sent.Actions != nil {
		t.Conditions, t.Actions = conditions{}, []action{}
		set(&t.Conditions, sent.Conditions)
		set(&t.Actions, sent.Actions)
	}
	if t.Conditions.All == nil {
		t.Conditions.All = []condition{}
	}
	if t.Conditions.Any == nil {
		t.Conditions.Any = []condition{}
	}
	return t
}

// set takes a value over where one was sent.
func set[T any](to, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

func readTrigger(q *request) (*triggerSent, *reply) {
	var sent struct {
		Trigger *triggerSent `json:"trigger"`
	}
	if json.Unmarshal(q.body, &sent) != nil {
		rep := errTitle(http.StatusBadRequest, "Unprocessable message", "Server could not parse JSON")
		return nil, &rep
	}
	if sent.Trigger == nil {
		rep := errTitle(http.StatusBadRequest, "Invalid attribute", "You are missing the required parameter: trigger")
		return nil, &rep
	}
	return sent.Trigger, nil
}

func invalidTrigger(format string, args ...any) *reply {
	rep := invalidRecord(map[string]any{"base": []any{map[string]any{"description": fmt.Sprintf(format, args...)}}})
	return &rep
}

// checkTrigger holds a trigger against the rules. The caller holds the lock.
func (k *hooks) checkTrigger(t *trigger) *reply {
	switch {
	case strings.TrimSpace(t.Title) == "":
		return invalidField("title", "Title: cannot be blank")
	case len(t.Conditions.All)+len(t.Conditions.Any) == 0:
		return invalidTrigger("Triggers must have at least one condition")
	case len(t.Actions) == 0:
		return invalidTrigger("Triggers must have at least one action")
	}
	for _, c := range slices.Concat(t.Conditions.All, t.Conditions.Any) {
		if !c.known() {
			return invalidTrigger("Condition %q with operator %q is not one of the simulator's", c.Field, c.Operator)
		}
	}
	for i := range t.Actions {
		hook, body, ok := t.Actions[i].notice()
		if !ok {
			return invalidTrigger("Action %q: only notification_webhook with a webhook and a body is the simulator's", t.Actions[i].Field)
		}
		at := k.at(hook)
		switch {
		case at < 0:
			return invalidTrigger("Webhook %q does not exist", hook)
		case !k.list[at].wants(conditional):
			return invalidTrigger("Webhook %q is not subscribed to %s", hook, conditional)
		case k.list[at].RequestFormat == "json" && !json.Valid([]byte(fill(body, func(string) string { return "0" }))):
			return invalidTrigger("The body for webhook %q is not JSON", hook)
		}
	}
	return nil
}

func (s *Server) triggerCreate(q *request) reply {
	sent, bad := readTrigger(q)
	if bad != nil {
		return *bad
	}
	k := &s.hooks
	k.mu.Lock()
	defer k.mu.Unlock()
	id := int64(triggerBase + k.triggerCount)
	now := timestamp(uint32(q.now.Unix()))
	t := sent.onto(trigger{
		URL: s.base + "/api/v2/triggers/" + idText(id) + ".json", ID: id, Active: true, Position: len(k.triggers) + 1,
		CategoryID: "1", CreatedAt: now, UpdatedAt: now,
	})
	if bad := k.checkTrigger(&t); bad != nil {
		return *bad
	}
	k.triggerCount++
	k.triggers = append(k.triggers, t)
	return jsonReply(http.StatusCreated, map[string]any{"trigger": t})
}

// withTrigger finds the trigger that a request names and does something with
// its place, under the lock.
func (s *Server) withTrigger(q *request, do func(k *hooks, i int) reply) reply {
	id, ok := q.id()
	if !ok {
		return badAttribute("id", "must be an integer")
	}
	k := &s.hooks
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.triggers, func(t trigger) bool { return t.ID == id })
	if i < 0 {
		return notFound()
	}
	return do(k, i)
}

func (s *Server) triggerShow(q *request) reply {
	return s.withTrigger(q, func(k *hooks, i int) reply {
		return jsonReply(http.StatusOK, map[string]any{"trigger": k.triggers[i]})
	})
}

func (s *Server) triggerUpdate(q *request) reply {
	sent, bad := readTrigger(q)
	if bad != nil {
		return *bad
	}
	return s.withTrigger(q, func(k *hooks, i int) reply {
		t := sent.onto(k.triggers[i])
		if bad := k.checkTrigger(&t); bad != nil {
			return *bad
		}
		t.UpdatedAt = timestamp(uint32(q.now.Unix()))
		k.triggers[i] = t
		return jsonReply(http.StatusOK, map[string]any{"trigger": t})
	})
}

func (s *Server) triggerDelete(q *request) reply {
	return s.withTrigger(q, func(k *hooks, i int) reply {
		k.triggers = slices.Delete(k.triggers, i, i+1)
		return reply{status: http.StatusNoContent}
	})
}

// triggerList is paged either way.
func (s *Server) triggerList(q *request) reply {
	return s.triggersWith(q, "", s.page)
}

// triggerSearch finds triggers by a part of their title, paged by offset only.
func (s *Server) triggerSearch(q *request) reply {
	part := q.query.Get("query")
	if part == "" {
		return errTitle(http.StatusBadRequest, "Missing parameter", "You are missing the required parameter: query")
	}
	return s.triggersWith(q, strings.ToLower(part), func(q *request, rows []row, _ bool) (paged, *reply) { return s.offsetPage(q, rows) })
}

// triggersWith lists the triggers whose title has a part, by position.
func (s *Server) triggersWith(q *request, part string, cut func(*request, []row, bool) (paged, *reply)) reply {
	s.hooks.mu.Lock()
	all := slices.Clone(s.hooks.triggers)
	s.hooks.mu.Unlock()
	active := q.query.Get("active")
	var rows []row
	for i := range all {
		t := &all[i]
		if strings.Contains(strings.ToLower(t.Title), part) && (active == "" || active == strconv.FormatBool(t.Active)) {
			rows = append(rows, row{key: int64(t.Position), id: t.ID, at: int32(i)})
		}
	}
	sortRows(rows, false)
	page, bad := cut(q, rows, false)
	if bad != nil {
		return *bad
	}
	o := &object{}
	o.open()
	list(o, "triggers", page.rows, func(r row) { o.b = append(o.b, encodeJSON(all[r.at])...) })
	page.tail(o)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// named tells whether an active trigger notifies a webhook. The caller holds
// the lock.
func (k *hooks) named(hook string) bool {
	return slices.ContainsFunc(k.triggers, func(t trigger) bool {
		return t.Active && slices.ContainsFunc(t.Actions, func(a action) bool {
			id, _, ok := a.notice()
			return ok && id == hook
		})
	})
}

// pullTriggers looks through the triggers, in their order, after a ticket was
// created (was is nil) or saved. The caller holds the state's lock.
func (s *Server) pullTriggers(i int32, was *ticket, a *audit) {
	k := &s.hooks
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.triggers) == 0 {
		return
	}
	look := save{is: &s.tickets[i], was: was, audit: a}
	inOrder := slices.Clone(k.triggers)
	slices.SortStableFunc(inOrder, func(x, y trigger) int { return x.Position - y.Position })
	for n := range inOrder {
		t := &inOrder[n]
		if !t.Active || !t.Conditions.hold(&look) {
			continue
		}
		for x := range t.Actions {
			hook, body, ok := t.Actions[x].notice()
			if !ok {
				continue
			}
			if at := k.at(hook); at >= 0 && k.list[at].Status == "active" {
				filled := fill(body, func(name string) string { return s.placeholder(i, name) })
				k.push(&k.list[at], "trigger", s.clock(), []byte(filled))
			}
		}
	}
}
