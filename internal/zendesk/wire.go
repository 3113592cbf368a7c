package zendesk

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// User is a Zendesk user as the API shows it. Nulls are the zero value.
type User struct {
	ID             int64
	OrganizationID int64
	Name           string
	Email          string
	Phone          string // free text, E.164 only where the account enforces it
	// SharedPhone is nil without a phone, true where several people use it,
	// false for a direct line, which then is an identity too.
	SharedPhone *bool
	Locale      string // for example "es-MX"
	Role        string // end-user, agent or admin
	Tags        []string
	Active      bool // false once deleted; true where the answer does not say
	Suspended   bool
	CreatedAt   int64 // Unix seconds
	UpdatedAt   int64 // Unix seconds
	// Raw is the whole object as it came, a copy of its own.
	Raw json.RawMessage
}

// Ticket is a Zendesk ticket as the API shows it. Nulls are the zero value.
type Ticket struct {
	ID             int64
	RequesterID    int64
	AssigneeID     int64
	OrganizationID int64
	GroupID        int64
	BrandID        int64
	FormID         int64 // ticket_form_id
	CustomStatusID int64
	Status         string // new, open, pending, hold, solved, closed, deleted
	Priority       string // low, normal, high, urgent or ""
	Type           string // problem, incident, question, task or ""
	Subject        string
	Tags           []string
	CreatedAt      int64 // Unix seconds
	UpdatedAt      int64 // Unix seconds
	// GeneratedAt is generated_timestamp, Unix seconds: an export has it, a
	// show or an update's answer does not.
	GeneratedAt int64
	// UpdatedStamp is updated_at exactly as Zendesk wrote it: what a safe
	// update must send back.
	UpdatedStamp string
	Raw          json.RawMessage // as User.Raw
}

// Identity is one way to reach a user: a number, an address, an account.
type Identity struct {
	ID        int64
	UserID    int64
	Type      string // phone_number, email and others
	Value     string // "" where it is no text
	Primary   bool
	Verified  bool
	UpdatedAt int64           // Unix seconds
	Raw       json.RawMessage // as User.Raw
}

// PhoneIdentity is the Type of an Identity that is a phone number.
const PhoneIdentity = "phone_number"

// Audit is one update of a ticket.
type Audit struct {
	ID        int64
	TicketID  int64
	AuthorID  int64
	CreatedAt int64 // Unix seconds
	Events    []AuditEvent
	Raw       json.RawMessage // as User.Raw

	custom map[string]json.RawMessage
}

// AuditEvent is one thing an update did.
type AuditEvent struct {
	ID     int64
	Type   string // Comment, Change, Notification and others
	Public bool   // of a Comment
}

// Custom is a text that the update carried in its metadata, "" where it had
// none of that name. The documentation sends metadata flat and shows it under
// "custom"; what was sent under "custom" is found too.
func (a *Audit) Custom(name string) string {
	if s := text(a.custom[name]); s != "" {
		return s
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(a.custom["custom"], &inner) != nil {
		return ""
	}
	return text(inner[name])
}

// stamp is a time on the wire: RFC 3339, or null.
type stamp struct {
	seconds int64
	text    string
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(b []byte) error {
	if string(b) == "null" || string(b) == `""` {
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return err
	}
	*s = stamp{seconds: at.Unix(), text: text}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. An object whose id is null is
// read, with the id 0: that is how Zendesk greets a stranger.
func (u *User) UnmarshalJSON(b []byte) error {
	var w struct {
		ID             int64    `json:"id"`
		OrganizationID int64    `json:"organization_id"`
		Name           string   `json:"name"`
		Email          string   `json:"email"`
		Phone          string   `json:"phone"`
		SharedPhone    *bool    `json:"shared_phone_number"`
		Locale         string   `json:"locale"`
		Role           string   `json:"role"`
		Tags           []string `json:"tags"`
		Active         *bool    `json:"active"`
		Suspended      bool     `json:"suspended"`
		CreatedAt      stamp    `json:"created_at"`
		UpdatedAt      stamp    `json:"updated_at"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*u = User{
		ID: w.ID, OrganizationID: w.OrganizationID, Name: w.Name, Email: w.Email, Phone: w.Phone,
		SharedPhone: w.SharedPhone, Locale: w.Locale, Role: w.Role, Tags: w.Tags,
		Active: w.Active == nil || *w.Active, Suspended: w.Suspended,
		CreatedAt: w.CreatedAt.seconds, UpdatedAt: w.UpdatedAt.seconds, Raw: bytes.Clone(b),
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Ticket) UnmarshalJSON(b []byte) error {
	var w struct {
		ID             int64    `json:"id"`
		RequesterID    int64    `json:"requester_id"`
		AssigneeID     int64    `json:"assignee_id"`
		OrganizationID int64    `json:"organization_id"`
		GroupID        int64    `json:"group_id"`
		BrandID        int64    `json:"brand_id"`
		FormID         int64    `json:"ticket_form_id"`
		CustomStatusID int64    `json:"custom_status_id"`
		Status         string   `json:"status"`
		Priority       string   `json:"priority"`
		Type           string   `json:"type"`
		Subject        string   `json:"subject"`
		Tags           []string `json:"tags"`
		CreatedAt      stamp    `json:"created_at"`
		UpdatedAt      stamp    `json:"updated_at"`
		GeneratedAt    int64    `json:"generated_timestamp"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*t = Ticket{
		ID: w.ID, RequesterID: w.RequesterID, AssigneeID: w.AssigneeID, OrganizationID: w.OrganizationID,
		GroupID: w.GroupID, BrandID: w.BrandID, FormID: w.FormID, CustomStatusID: w.CustomStatusID,
		Status: w.Status, Priority: w.Priority, Type: w.Type, Subject: w.Subject, Tags: w.Tags,
		CreatedAt: w.CreatedAt.seconds, UpdatedAt: w.UpdatedAt.seconds, GeneratedAt: w.GeneratedAt,
		UpdatedStamp: w.UpdatedAt.text, Raw: bytes.Clone(b),
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. Only a number's value must be
// text; other kinds of identity are none of ours and may hold anything.
func (i *Identity) UnmarshalJSON(b []byte) error {
	var w struct {
		ID        int64           `json:"id"`
		UserID    int64           `json:"user_id"`
		Type      string          `json:"type"`
		Value     json.RawMessage `json:"value"`
		Primary   bool            `json:"primary"`
		Verified  bool            `json:"verified"`
		UpdatedAt stamp           `json:"updated_at"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*i = Identity{
		ID: w.ID, UserID: w.UserID, Type: w.Type, Value: text(w.Value),
		Primary: w.Primary, Verified: w.Verified, UpdatedAt: w.UpdatedAt.seconds, Raw: bytes.Clone(b),
	}
	if isNull := len(w.Value) == 0 || string(w.Value) == "null"; i.Type == PhoneIdentity && !isNull && w.Value[0] != '"' {
		return errors.New("a number that is no text")
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Audit) UnmarshalJSON(b []byte) error {
	var w struct {
		ID        int64 `json:"id"`
		TicketID  int64 `json:"ticket_id"`
		AuthorID  int64 `json:"author_id"`
		CreatedAt stamp `json:"created_at"`
		Metadata  struct {
			Custom json.RawMessage `json:"custom"`
		} `json:"metadata"`
		Events []AuditEvent `json:"events"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*a = Audit{ID: w.ID, TicketID: w.TicketID, AuthorID: w.AuthorID, CreatedAt: w.CreatedAt.seconds, Events: w.Events, Raw: bytes.Clone(b)}
	_ = json.Unmarshal(w.Metadata.Custom, &a.custom) // whoever sent it may have sent anything
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. Events are of dozens of kinds:
// what one lacks, or has in another form, stays zero.
func (e *AuditEvent) UnmarshalJSON(b []byte) error {
	var w struct{ ID, Type, Public json.RawMessage }
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	_ = json.Unmarshal(w.ID, &e.ID)
	_ = json.Unmarshal(w.Public, &e.Public)
	e.Type = text(w.Type)
	return nil
}
