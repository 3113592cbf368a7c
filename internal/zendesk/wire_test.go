package zendesk

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadingAUser(t *testing.T) {
	t.Parallel()
	shared := true
	for _, tt := range []struct {
		name, json string
		want       User
	}{
		{"in full", `{"id":9007199254740993,"organization_id":9223372036854775807,"name":"Zoë","email":"z@example.com","phone":"+1 513.555.7611 x22",
			"shared_phone_number":true,"locale":"es-MX","role":"end-user","tags":["a","b"],"active":false,"suspended":true,
			"created_at":"2023-09-09T23:51:58Z","updated_at":"2023-12-13T23:50:14Z","photo":{"id":1},"user_fields":{"x":[1]}}`,
			User{ID: 9007199254740993, OrganizationID: 9223372036854775807, Name: "Zoë", Email: "z@example.com", Phone: "+1 513.555.7611 x22",
				SharedPhone: &shared, Locale: "es-MX", Role: "end-user", Tags: []string{"a", "b"}, Suspended: true, CreatedAt: 1694303518, UpdatedAt: 1702511414}},
		{"all null", `{"id":null,"organization_id":null,"name":null,"email":null,"phone":null,"shared_phone_number":null,"locale":null,"role":null,"tags":null,"active":null,"suspended":null,"created_at":null,"updated_at":null}`,
			User{Active: true}},
		{"next to nothing", `{"id":1}`, User{ID: 1, Active: true}},
		{"a time of another zone", `{"id":1,"updated_at":"2023-12-13T18:50:14-05:00","created_at":""}`, User{ID: 1, Active: true, UpdatedAt: 1702511414}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got User
			if err := json.Unmarshal([]byte(tt.json), &got); err != nil {
				t.Fatal(err)
			}
			tt.want.Raw = json.RawMessage(tt.json)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadingATicket(t *testing.T) {
	t.Parallel()
	const in = `{"id":28,"requester_id":1,"assignee_id":2,"organization_id":3,"group_id":4,"brand_id":5,"ticket_form_id":6,"custom_status_id":7,
		"status":"open","priority":"urgent","type":"incident","subject":"It burns","tags":["x"],"created_at":"2023-09-18T23:26:00Z","updated_at":"2023-09-18T23:26:01Z","generated_timestamp":1695079562}`
	var got Ticket
	if err := json.Unmarshal([]byte(in), &got); err != nil {
		t.Fatal(err)
	}
	want := Ticket{
		ID: 28, RequesterID: 1, AssigneeID: 2, OrganizationID: 3, GroupID: 4, BrandID: 5, FormID: 6, CustomStatusID: 7,
		Status: "open", Priority: "urgent", Type: "incident", Subject: "It burns", Tags: []string{"x"},
		CreatedAt: 1695079560, UpdatedAt: 1695079561, GeneratedAt: 1695079562, UpdatedStamp: "2023-09-18T23:26:01Z", Raw: json.RawMessage(in),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := json.Unmarshal([]byte(`{"id":1,"assignee_id":null,"group_id":null,"priority":null,"type":null,"subject":null,"custom_status_id":null,"generated_timestamp":null}`), &got); err != nil {
		t.Fatal(err)
	}
	got.Raw = nil
	if diff := cmp.Diff(Ticket{ID: 1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestIdentitiesOfOtherKindsMayHoldAnything(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Identity{
		`{"id":1,"user_id":2,"type":"phone_number","value":"+15135557611","primary":true,"verified":true,"updated_at":"2023-09-18T23:26:01Z"}`: {ID: 1, UserID: 2, Type: PhoneIdentity, Value: "+15135557611", Primary: true, Verified: true, UpdatedAt: 1695079561},
		`{"id":1,"user_id":2,"type":"sdk","value":{"a":[1]}}`:     {ID: 1, UserID: 2, Type: "sdk"},
		`{"id":1,"user_id":2,"type":"phone_number","value":null}`: {ID: 1, UserID: 2, Type: PhoneIdentity},
	} {
		var got Identity
		if err := json.Unmarshal([]byte(in), &got); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		want.Raw = json.RawMessage(in)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if json.Unmarshal([]byte(`{"id":1,"user_id":2,"type":"phone_number","value":15135557611}`), &Identity{}) == nil {
		t.Error("a number that is no text was read")
	}
}

func TestWhatAnAuditCarries(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"id":1,"metadata":{"custom":{"marker":"m1"},"system":{"ip_address":"x"}}}`: "m1",
		`{"id":1,"metadata":{"custom":{"custom":{"marker":"m2"}}}}`:                  "m2",
		`{"id":1,"metadata":{"custom":{"marker":5}}}`:                                "",
		`{"id":1,"metadata":{"custom":[]}}`:                                          "",
		`{"id":1,"metadata":{"custom":null}}`:                                        "",
		`{"id":1,"metadata":null}`:                                                   "",
		`{"id":1}`:                                                                   "",
	} {
		var a Audit
		if err := json.Unmarshal([]byte(in), &a); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if got := a.Custom("marker"); got != want {
			t.Errorf("%s carries %q, want %q", in, got, want)
		}
	}
	var a Audit
	err := json.Unmarshal([]byte(`{"id":6164068754586,"ticket_id":4016,"author_id":9,"created_at":"2023-09-18T23:26:00Z","events":[
		{"id":1,"type":"Comment","public":true,"body":"x"},{"id":2,"type":"Change","value":["a"],"previous_value":null},{"id":"odd","type":7,"public":"no"}]}`), &a)
	if err != nil {
		t.Fatal(err)
	}
	want := []AuditEvent{{ID: 1, Type: "Comment", Public: true}, {ID: 2, Type: "Change"}, {}}
	if diff := cmp.Diff(want, a.Events); diff != "" || a.TicketID != 4016 || a.AuthorID != 9 || a.CreatedAt != 1695079560 {
		t.Errorf("%+v\n%s", a, diff)
	}
}

// A page's memory must not be kept alive, or changed, by one record of it.
func TestRawIsACopyOfItsOwn(t *testing.T) {
	t.Parallel()
	body := []byte(`{"users":[{"id":1},{"id":2}]}`)
	var page struct{ Users userList }
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	clear(body)
	for i, want := range []string{`{"id":1}`, `{"id":2}`} {
		raw := page.Users.items[i].Raw
		if string(raw) != want || cap(raw) > 4*len(want) {
			t.Errorf("raw %q with room for %d", raw, cap(raw))
		}
	}
}

// exchange is one recorded request and its answer.
type exchange struct {
	Request  struct{ Method, URI string }
	Response struct {
		Status  struct{ Code int }
		Headers http.Header
		Body    json.RawMessage
	}
}

// replay answers with what was recorded.
func (x *exchange) replay(r *http.Request) (*http.Response, error) {
	resp, err := answers(x.Response.Status.Code, string(x.Response.Body))(r)
	for name, values := range x.Response.Headers {
		resp.Header[http.CanonicalHeaderKey(name)] = values
	}
	return resp, err
}

func recorded(t *testing.T, name string) []exchange {
	t.Helper()
	var all []exchange
	if err := json.Unmarshal(sharedFile(t, "recorded/"+name), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRecordedExportPages(t *testing.T) {
	t.Parallel()
	pages := 0
	for _, x := range recorded(t, "TicketsIncrementalTest.test_get_values.json") {
		if !strings.Contains(x.Request.URI, "/cursor.json") {
			continue
		}
		pages++
		c := newClient(t, basicConfig(play(x.replay)))
		p, err := c.ExportTickets(t.Context(), ExportRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Tickets []json.RawMessage
			After   string `json:"after_cursor"`
			End     bool   `json:"end_of_stream"`
		}
		if err := json.Unmarshal(x.Response.Body, &want); err != nil {
			t.Fatal(err)
		}
		if len(p.Tickets) != len(want.Tickets) || p.AfterCursor != want.After || p.EndOfStream != want.End {
			t.Errorf("%d tickets, after %q, end %v", len(p.Tickets), p.AfterCursor, p.EndOfStream)
		}
		if p.Date.Year() != 2024 || c.Stats().RateRemaining < 600 {
			t.Errorf("headers were not read: %v, %d left", p.Date, c.Stats().RateRemaining)
		}
		for i, tk := range p.Tickets {
			if !bytes.Equal(tk.Raw, want.Tickets[i]) {
				t.Fatalf("ticket %d is not its own object", tk.ID)
			}
			if tk.RequesterID == 0 || tk.Status == "" || tk.GeneratedAt < tk.CreatedAt || tk.CustomStatusID == 0 || tk.UpdatedStamp == "" {
				t.Errorf("ticket %d was read in part: %+v", tk.ID, tk)
			}
		}
	}
	for _, x := range recorded(t, "UsersIncrementalTest.test_get_values.json") {
		if !strings.Contains(x.Request.URI, "/cursor.json") {
			continue
		}
		pages++
		c := newClient(t, basicConfig(play(x.replay)))
		p, err := c.ExportUsers(t.Context(), ExportRequest{IncludeIdentities: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Users) == 0 || p.EndOfStream || p.AfterCursor == "" || p.Identities != nil {
			t.Errorf("%d users, end %v, after %q, identities %v", len(p.Users), p.EndOfStream, p.AfterCursor, p.Identities)
		}
		gone := 0
		for _, u := range p.Users {
			if u.ID <= 0 || u.Role == "" || u.UpdatedAt == 0 || len(u.Raw) == 0 {
				t.Errorf("user %d was read in part", u.ID)
			}
			if !u.Active {
				gone++
			}
		}
		if inactive := bytes.Count(x.Response.Body, []byte(`"active":false`)) + bytes.Count(x.Response.Body, []byte(`"active": false`)); gone != inactive {
			t.Errorf("%d inactive users, want %d", gone, inactive)
		}
	}
	if pages != 4 {
		t.Errorf("%d cursor pages were recorded, want 4", pages)
	}
}

func TestRecordedWritesAndMe(t *testing.T) {
	t.Parallel()
	writes := recorded(t, "TestTicketCreateUpdateDelete.test_single_object_update-update-single.json")
	c := newClient(t, basicConfig(play(writes[0].replay, writes[1].replay)))
	made, err := c.CreateTicket(t.Context(), "k", NewTicket{Subject: "test", Comment: Comment{Body: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := c.UpdateTicket(t.Context(), made.Ticket.ID, comment)
	if err != nil {
		t.Fatal(err)
	}
	if made.Ticket.ID != 4016 || changed.Ticket.ID != 4016 || made.Audit == nil || changed.Audit.ID != 6164068756634 ||
		changed.Ticket.UpdatedAt != made.Ticket.UpdatedAt+1 || changed.Ticket.GeneratedAt != 0 || len(changed.Audit.Events) == 0 {
		t.Errorf("made %+v\nchanged %+v", made, changed)
	}
	me := recorded(t, "TestUserMe.test_users_me.json")
	c = newClient(t, basicConfig(play(me[0].replay)))
	u, err := c.Me(t.Context())
	if err != nil || u.Role != "admin" || u.SharedPhone != nil || u.Raw != nil {
		t.Errorf("%+v, %v", u, err)
	}
}
