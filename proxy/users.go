package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// The nested answers of /v1/users. Ids are strings, as everywhere; what is
// absent is left out.
type (
	peopleJSON struct {
		ANI        string     `json:"ani,omitempty"`
		Outcome    string     `json:"outcome,omitempty"`
		Reason     string     `json:"reason,omitempty"`
		Match      string     `json:"match,omitempty"`
		MatchCount int        `json:"match_count"`
		Source     string     `json:"source,omitempty"`
		AgeSeconds int64      `json:"age_seconds"`
		Stale      bool       `json:"stale"`
		Users      []userJSON `json:"users"`
	}
	userJSON struct {
		ID             string       `json:"id,omitempty"`
		Name           string       `json:"name,omitempty"`
		Email          string       `json:"email,omitempty"`
		Locale         string       `json:"locale,omitempty"`
		Tags           []string     `json:"tags,omitempty"`
		OrganizationID string       `json:"organization_id,omitempty"`
		URL            string       `json:"url,omitempty"`
		Role           string       `json:"role,omitempty"`
		Suspended      bool         `json:"suspended,omitempty"`
		CreatedAt      string       `json:"created_at,omitempty"`
		UpdatedAt      string       `json:"updated_at,omitempty"`
		Unresolved     int          `json:"unresolved_count"`
		Tickets        []ticketJSON `json:"tickets,omitempty"`
	}
	ticketJSON struct {
		ID        string      `json:"id,omitempty"`
		Status    string      `json:"status,omitempty"`
		Priority  string      `json:"priority,omitempty"`
		Type      string      `json:"type,omitempty"`
		Subject   string      `json:"subject,omitempty"`
		Tags      []string    `json:"tags,omitempty"`
		URL       string      `json:"url,omitempty"`
		CreatedAt string      `json:"created_at,omitempty"`
		UpdatedAt string      `json:"updated_at,omitempty"`
		Assignee  *personJSON `json:"assignee,omitempty"`
	}
	personJSON struct {
		ID    string `json:"id,omitempty"`
		Name  string `json:"name,omitempty"`
		Email string `json:"email,omitempty"`
		Agent string `json:"agent,omitempty"`
	}
	ticketsJSON struct {
		UserID     string       `json:"user_id"`
		Unresolved int          `json:"unresolved_count"`
		Tickets    []ticketJSON `json:"tickets"`
	}
)

// users shows who has a number. A client with the scope directory sees every
// sharer with all that is unresolved; any other sees what a lookup would tell
// it, in another form: nobody of several, three tickets, its own fields.
func (s *Server) users(c *call) error {
	in, err := s.read(c)
	if err != nil {
		return err
	}
	everyone := c.client.may(ScopeDirectory)
	a, err := s.ask(c, &in, everyone)
	if err != nil {
		return err
	}
	v := s.view(a, 0, "")
	c.outcome = v.choice.Outcome
	shown := c.client.fields
	if everyone {
		shown = allFields()
	}
	p := peopleJSON{Users: []userJSON{}}
	match, count := v.match()
	p.ANI = shown.text(fANI, a.ANI)
	p.Outcome = shown.text(fOutcome, string(v.choice.Outcome))
	p.Reason = shown.text(fReason, v.choice.Reason)
	p.Match = shown.text(fMatch, match)
	p.Source = shown.text(fSource, string(a.Source))
	if shown.has(fMatchCount) {
		p.MatchCount = count
	}
	if shown.has(fAgeSeconds) {
		p.AgeSeconds = ageSeconds(a.Age)
	}
	p.Stale = a.Stale && shown.has(fStale)
	switch {
	case everyone:
		for i := range a.Callers {
			p.Users = append(p.Users, s.wholeUser(&a.Callers[i], true))
			s.tellAll(c, &a.Callers[i])
		}
	case v.choice.Caller != nil:
		p.Users = append(p.Users, s.chosenUser(&v, shown))
		s.tell(c, &v.choice)
	}
	return c.json(http.StatusOK, p)
}

// user shows one person.
func (s *Server) user(c *call) error {
	found, err := s.byID(c)
	if err != nil {
		return err
	}
	s.o.Outbox.Tell(c.client.name, outbox.ToldUser, found.User.ID)
	return c.json(http.StatusOK, s.wholeUser(&found, false))
}

// userTickets shows what a person waits for, the newest first.
func (s *Server) userTickets(c *call) error {
	found, err := s.byID(c)
	if err != nil {
		return err
	}
	s.tellAll(c, &found)
	return c.json(http.StatusOK, ticketsJSON{
		UserID: strconv.FormatInt(found.User.ID, 10), Unresolved: s.o.TicketPolicy.Count(&found), Tickets: s.wholeTickets(&found),
	})
}

func (s *Server) byID(c *call) (caller.Caller, error) {
	id, err := pathID(c)
	if err != nil {
		return caller.Caller{}, err
	}
	// Before it is known whether there is such a person: past the limit not
	// even that is told.
	if err := s.countPerson(c.client, id); err != nil {
		return caller.Caller{}, err
	}
	found, ok, err := s.o.Directory.Caller(id)
	if err != nil {
		return caller.Caller{}, fmt.Errorf("read a user: %w", err)
	}
	if !ok || !found.User.Active {
		return caller.Caller{}, errNotFound("the mirror knows no user of this id")
	}
	return found, nil
}

// wholeUser is a person with everything, for the scope directory.
func (s *Server) wholeUser(from *caller.Caller, withTickets bool) userJSON {
	u := s.userJSON(&from.User, allFields())
	u.Role, u.Suspended = from.User.Role, from.User.Suspended
	u.CreatedAt, u.UpdatedAt = rfc3339(from.User.CreatedAt), rfc3339(from.User.UpdatedAt)
	u.Unresolved = s.o.TicketPolicy.Count(from)
	if withTickets {
		u.Tickets = s.wholeTickets(from)
	}
	return u
}

func (s *Server) wholeTickets(from *caller.Caller) []ticketJSON {
	tickets := make([]ticketJSON, 0, len(from.Open))
	for i := range from.Open {
		if t := &from.Open[i]; s.o.TicketPolicy.Shows(t) {
			tickets = append(tickets, s.ticketJSON(from, t, allFields()))
		}
	}
	return tickets
}

// chosenUser is what a lookup tells, and no more of it: of the second and the
// third ticket the id and the status.
func (s *Server) chosenUser(v *view, shown fieldSet) userJSON {
	u := s.userJSON(v.user(), shown)
	if shown.has(fUnresolvedCount) {
		u.Unresolved = v.choice.Unresolved
	}
	for i, t := range v.choice.Tickets {
		if t == nil {
			break
		}
		ticket := ticketJSON{}
		switch i {
		case 0:
			ticket = s.ticketJSON(v.choice.Caller, t, shown)
		case 1:
			ticket.ID, ticket.Status = shown.id(fTicket2ID, t.ID), shown.text(fTicket2Status, t.Status)
		default:
			ticket.ID, ticket.Status = shown.id(fTicket3ID, t.ID), shown.text(fTicket3Status, t.Status)
		}
		u.Tickets = append(u.Tickets, ticket)
	}
	return u
}

func (s *Server) userJSON(u *caller.User, shown fieldSet) userJSON {
	return userJSON{
		ID:             shown.id(fUserID, u.ID),
		Name:           shown.text(fUserName, u.Name),
		Email:          shown.text(fUserEmail, u.Email),
		Locale:         shown.text(fUserLocale, u.Locale),
		Tags:           shown.tags(fUserTags, u.Tags),
		OrganizationID: shown.id(fOrganizationID, u.OrganizationID),
		URL:            shown.url(fUserURL, s.o.AgentBase+"/users/", u.ID),
	}
}

func (s *Server) ticketJSON(of *caller.Caller, t *caller.Ticket, shown fieldSet) ticketJSON {
	j := ticketJSON{
		ID:        shown.id(fTicketID, t.ID),
		Status:    shown.text(fTicketStatus, t.Status),
		Priority:  shown.text(fTicketPriority, t.Priority),
		Type:      shown.text(fTicketType, t.Type),
		Subject:   shown.text(fTicketSubject, t.Subject),
		Tags:      shown.tags(fTicketTags, t.Tags),
		URL:       shown.url(fTicketURL, s.o.AgentBase+"/tickets/", t.ID),
		CreatedAt: shown.text(fTicketCreatedAt, rfc3339(t.CreatedAt)),
		UpdatedAt: shown.text(fTicketUpdatedAt, rfc3339(t.UpdatedAt)),
	}
	if t.AssigneeID == 0 {
		return j
	}
	p, _ := of.Assignee(t.AssigneeID)
	assignee := personJSON{
		ID:    shown.id(fAssigneeID, t.AssigneeID),
		Name:  shown.text(fAssigneeName, p.Name),
		Email: shown.text(fAssigneeEmail, p.Email),
		Agent: shown.text(fAssigneeAgent, loginOf(s.agents, p.Email)),
	}
	if assignee != (personJSON{}) {
		j.Assignee = &assignee
	}
	return j
}

// text, id, url and tags are a value where the set has the field, else absent.
func (s fieldSet) text(f field, value string) string {
	if !s.has(f) {
		return ""
	}
	return clean(value, maxText)
}

func (s fieldSet) id(f field, id int64) string {
	if id == 0 || !s.has(f) {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

func (s fieldSet) url(f field, base string, id int64) string {
	if id == 0 || !s.has(f) {
		return ""
	}
	return base + strconv.FormatInt(id, 10)
}

func (s fieldSet) tags(f field, tags []string) []string {
	if !s.has(f) {
		return nil
	}
	cleaned := make([]string, 0, len(tags))
	for _, tag := range tags {
		cleaned = append(cleaned, clean(tag, maxText))
	}
	return cleaned
}

func rfc3339(unix int64) string {
	if unix <= 0 {
		return ""
	}
	return time.Unix(unix, 0).UTC().Format(time.RFC3339)
}

func (c *call) json(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	c.write(status, jsonType, body)
	return nil
}
