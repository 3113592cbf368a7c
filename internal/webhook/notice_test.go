package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

func user(id int64) caller.Object   { return caller.Object{Stream: caller.Users, ID: id} }
func ticket(id int64) caller.Object { return caller.Object{Stream: caller.Tickets, ID: id} }

func TestParse(t *testing.T) {
	const event = `{"account_id":1,"id":"e-1","time":"2026-03-04T05:06:07Z","zendesk_event_version":"2022-06-20",`
	tests := []struct {
		name, body string
		want       Notice
	}{
		{
			"a user, with a colon in the type", event + `"type":"zen:event-type:user.created","subject":"zen:user:6596848315901","detail":{"id":"6596848315901","organization_id":"0"},"event":{}}`,
			Notice{"e-1", "user.created", []caller.Object{user(6596848315901)}},
		},
		{
			"a user, with a slash in the type", event + `"type":"zen:event-type/user.created","subject":"zen:user:5","detail":{"id":"5"}}`,
			Notice{"e-1", "user.created", []caller.Object{user(5)}},
		},
		{
			"an id as a number", event + `"type":"zen:event-type:user.active_changed","detail":{"id":9007199254740993},"event":{"current":false,"previous":true}}`,
			Notice{"e-1", "user.active_changed", []caller.Object{user(9007199254740993)}},
		},
		{
			"the subject alone", event + `"type":"zen:event-type:user.tags_changed","subject":"zen:user:5"}`,
			Notice{"e-1", "user.tags_changed", []caller.Object{user(5)}},
		},
		{
			"no type, and a subject", `{"subject":"zen:ticket:5","detail":{"id":"5"}}`,
			Notice{"", "", []caller.Object{ticket(5)}},
		},
		{
			"an identity names its user and not itself", event + `"type":"zen:event-type/user.identity_created","subject":"zen:user:5","detail":{"id":"5"},"event":{"id":"77","type":"phone_number","value":"+15135550101"}}`,
			Notice{"e-1", "user.identity_created", []caller.Object{user(5)}},
		},
		{
			"a merged user and the one who stays, as an object", event + `"type":"zen:event-type/user.merged","subject":"zen:user:5","detail":{"id":"5"},"event":{"user":{"id":"6","role":"end-user"}}}`,
			Notice{"e-1", "user.merged", []caller.Object{user(5), user(6)}},
		},
		{
			"a merged user and the one who stays, as ids", event + `"type":"zen:event-type:user.merged","subject":"zen:user:5","detail":{"id":"5"},"event":{"previous":"5","current":6}}`,
			Notice{"e-1", "user.merged", []caller.Object{user(5), user(6)}},
		},
		{
			"a merged ticket and the one it went into", event + `"type":"zen:event-type:ticket.merged","subject":"zen:ticket:8","detail":{"id":"8"},"event":{"target_ticket_id":"9"}}`,
			Notice{"e-1", "ticket.merged", []caller.Object{ticket(8), ticket(9)}},
		},
		{
			"a ticket, and nobody it names", event + `"type":"zen:event-type:ticket.status_changed","subject":"zen:ticket:8","detail":{"id":"8","requester_id":"5","assignee_id":"6","actor_id":"7"},"event":{"current":"OPEN","previous":"NEW"}}`,
			Notice{"e-1", "ticket.status_changed", []caller.Object{ticket(8)}},
		},
		{
			"a ticket that moved, and both requesters", event + `"type":"zen:event-type:ticket.requester_changed","subject":"zen:ticket:8","detail":{"id":"8","requester_id":"6"},"event":{"current":"6","previous":"5","meta":{"id":"99","sequence":{"id":"98","position":1,"total":1}}}}`,
			Notice{"e-1", "ticket.requester_changed", []caller.Object{ticket(8), user(5), user(6)}},
		},
		{
			"a ticket that moved, and no more than the new requester", event + `"type":"zen:event-type:ticket.requester_changed","subject":"zen:ticket:8","detail":{"id":8,"requester_id":6},"event":[]}`,
			Notice{"e-1", "ticket.requester_changed", []caller.Object{ticket(8), user(6)}},
		},
		{
			"a subject of another kind than the type", event + `"type":"zen:event-type:ticket.created","subject":"zen:user:5","detail":{"id":"8"}}`,
			Notice{"e-1", "ticket.created", []caller.Object{ticket(8)}},
		},
		{
			"an organization", event + `"type":"zen:event-type:organization.created","subject":"zen:organization:5","detail":{"id":"5"}}`,
			Notice{"e-1", "organization.created", nil},
		},
		{
			"an article", event + `"type":"zen:event-type:article.published","subject":"zen:article:5","detail":{"id":"5"}}`,
			Notice{"e-1", "article.published", nil},
		},
		{
			"an event of a user that nobody knows yet", event + `"type":"zen:event-type:user.phone_changed","subject":"zen:user:5","detail":{"id":"5"}}`,
			Notice{"e-1", "user.phone_changed", []caller.Object{user(5)}},
		},
		{"a trigger's ticket as a text", `{"ticket_id":"8"}`, Notice{Objects: []caller.Object{ticket(8)}}},
		{"a trigger's ticket as a number", `{"ticket_id":9007199254740993}`, Notice{Objects: []caller.Object{ticket(9007199254740993)}}},
		{"a trigger's user", ` {"user_id" : " 5 "}`, Notice{Objects: []caller.Object{user(5)}}},
		{"both", `{"user_id":5,"ticket_id":"8"}`, Notice{Objects: []caller.Object{ticket(8), user(5)}}},
		{"a trigger that says more, in words of its own", `{"ticket_id":"8","type":"incident","subject":"Printer","id":"8"}`, Notice{Objects: []caller.Object{ticket(8)}}},
		{"an id further down is not looked for", `{"ticket":{"ticket_id":"8"}}`, Notice{}},
		{"a placeholder that was not filled in", `{"ticket_id":"{{ticket.id}}"}`, Notice{}},
		{"nothing", `{}`, Notice{}},
		{"something else", `{"hello":"world"}`, Notice{}},
		{"ids that are none", `{"ticket_id":-8,"user_id":1.5}`, Notice{}},
		{"an id with a sign", `{"ticket_id":"+8","user_id":"-5"}`, Notice{}},
		{"an id past all ids", `{"ticket_id":9223372036854775808,"user_id":"9223372036854775807"}`, Notice{Objects: []caller.Object{user(9223372036854775807)}}},
		{"ids of other types", `{"ticket_id":[8],"user_id":{"id":5}}`, Notice{}},
		{"null and false", `{"ticket_id":null,"user_id":false}`, Notice{}},
		{"a type that is none", `{"type":5,"subject":{},"id":[],"ticket_id":8}`, Notice{Objects: []caller.Object{ticket(8)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefusesWhatIsNoObject(t *testing.T) {
	for _, body := range []string{"", " ", "null", "5", `"ticket_id"`, "[]", `[{"ticket_id":8}]`, "{", `{"ticket_id":8`, `{"ticket_id":8} x`, "ticket_id=8", "\xff", "<ticket_id>8</ticket_id>"} {
		n, err := Parse([]byte(body))
		if !errors.Is(err, ErrBody) || n.Objects != nil {
			t.Errorf("%q: %+v, %v", body, n, err)
		}
	}
}

func TestADeliveryNamesFewObjects(t *testing.T) {
	var event strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&event, `,"k%d":%d`, i, i+1)
	}
	n, err := Parse([]byte(`{"type":"zen:event-type:user.merged","event":{` + event.String()[1:] + `}}`))
	if err != nil || len(n.Objects) != mostObjects {
		t.Errorf("%d objects, %v", len(n.Objects), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"type":"zen:event-type/user.merged","subject":"zen:user:5","detail":{"id":"5"},"event":{"user":{"id":"6"}},"id":"x"}`,
		`{"type":"zen:event-type:ticket.requester_changed","detail":{"id":8,"requester_id":6},"event":{"current":"6","previous":"5"}}`,
		`{"ticket_id":"8","user_id":5}`, `{"type":"zen:event-type:","subject":"zen::"}`, `null`, `{"event":`, `{"\u0069d":"a"}`, `{"detail":[]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := Parse(body)
		if err != nil {
			var anything map[string]any
			if json.Unmarshal(body, &anything) == nil && anything != nil {
				t.Fatalf("an object is refused: %v", err)
			}
			return
		}
		if len(n.Objects) > mostObjects {
			t.Errorf("%d objects", len(n.Objects))
		}
		for i, o := range n.Objects {
			if o.ID <= 0 || o.Stream != caller.Users && o.Stream != caller.Tickets {
				t.Errorf("object %d is %+v", i, o)
			}
			for _, other := range n.Objects[:i] {
				if other == o {
					t.Errorf("%+v twice", o)
				}
			}
		}
		again, err := Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, again); diff != "" {
			t.Errorf("the same body is read two ways:\n%s", diff)
		}
	})
}
