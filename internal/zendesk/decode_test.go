package zendesk

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oddities are records that cannot be read, one after the other.
const oddities = `null,{"id":null},{"id":-4},{"id":"7"},{"id":1.5},{"id":99999999999999999999},[],"x",{"id":8,"updated_at":"soon"},{"id":9,"tags":{"a":1}}`

const oddityCount = 10

func TestOneUnreadableRecordCostsItselfAlone(t *testing.T) {
	t.Parallel()
	const page = `[{"id":1},` + oddities + `,{"id":2}]`
	ids := []int64{1, 2}
	for name, read := range map[string]struct {
		body string
		read func(*Client) (got []int64, skipped int, err error)
	}{
		"export of users": {`{"users":` + page + `,"after_cursor":"b","end_of_stream":true}`, func(c *Client) ([]int64, int, error) {
			p, err := c.ExportUsers(t.Context(), ExportRequest{})
			if err != nil {
				return nil, 0, err
			}
			return idsOf(p.Users, func(u *User) int64 { return u.ID }), p.Skipped, nil
		}},
		"export of tickets": {`{"tickets":` + page + `,"after_cursor":"b","end_of_stream":true}`, func(c *Client) ([]int64, int, error) {
			p, err := c.ExportTickets(t.Context(), ExportRequest{})
			if err != nil {
				return nil, 0, err
			}
			return idsOf(p.Tickets, ticketID), p.Skipped, nil
		}},
		"search export": {`{"results":` + page + `,"meta":{"has_more":false}}`, func(c *Client) ([]int64, int, error) {
			p, err := c.SearchTickets(t.Context(), "q", "")
			if err != nil {
				return nil, 0, err
			}
			return idsOf(p.Tickets, ticketID), p.Skipped, nil
		}},
		"users by id": {`{"users":` + page + `}`, func(c *Client) ([]int64, int, error) {
			a, err := c.ShowManyUsers(t.Context(), ids, false)
			if err != nil {
				return nil, 0, err
			}
			return idsOf(a.Users, func(u *User) int64 { return u.ID }), a.Skipped, nil
		}},
		"tickets by id": {`{"tickets":` + page + `}`, func(c *Client) ([]int64, int, error) {
			a, err := c.ShowManyTickets(t.Context(), ids)
			if err != nil {
				return nil, 0, err
			}
			return idsOf(a.Tickets, ticketID), a.Skipped, nil
		}},
		"a user's tickets": {`{"tickets":` + page + `,"meta":{"has_more":false}}`, func(c *Client) ([]int64, int, error) {
			r, err := c.RequestedTickets(t.Context(), 1, 3)
			if r.Complete {
				t.Error("a reading with a gap is called complete")
			}
			return idsOf(r.Items, ticketID), r.Skipped, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, skipped, err := read.read(newClient(t, basicConfig(play(answers(200, read.body)))))
			if diff := cmp.Diff(ids, got); diff != "" || skipped != oddityCount || err != nil {
				t.Errorf("skipped %d, %v\n%s", skipped, err, diff)
			}
			// One more that is bad, and most of the page is: the API's form has changed.
			body := strings.Replace(read.body, `{"id":2}`, `{"id":"2"}`, 1)
			_, _, err = read.read(newClient(t, basicConfig(play(answers(200, body)))))
			if asError(t, err).Class != ClassMalformed {
				t.Errorf("a page most of which cannot be read gives %v", err)
			}
		})
	}
}

func idsOf[T any](all []T, id func(*T) int64) []int64 {
	ids := make([]int64, len(all))
	for i := range all {
		ids[i] = id(&all[i])
	}
	return ids
}

func ticketID(t *Ticket) int64 { return t.ID }

func TestASearchWithAnUnreadableHitIsNotComplete(t *testing.T) {
	t.Parallel()
	c := newClient(t, basicConfig(play(answers(200, `{"results":[{"id":1},{"id":"2"}],"count":1,"next_page":null}`))))
	hits, complete, _, err := c.SearchUsersByPhone(t.Context(), "5135557611", nil)
	if err != nil || complete || len(hits) != 1 {
		t.Errorf("%d hits, complete %v, %v", len(hits), complete, err)
	}
}

func TestAnObjectThatCannotBeReadIsThere(t *testing.T) {
	t.Parallel()
	client := func(body string) *Client { return newClient(t, basicConfig(play(answers(200, body)))) }
	for name, read := range map[string]func() error{
		"a user": func() error {
			_, sent, err := client(`{"user":{"id":"1"}}`).ShowUser(t.Context(), 1)
			if sent.IsZero() {
				t.Error("the time of the answer is not known")
			}
			return err
		},
		"a ticket": func() error {
			_, _, err := client(`{"ticket":{"id":1,"tags":5}}`).ShowTicket(t.Context(), 1)
			return err
		},
		"an identity": func() error {
			_, _, err := client(`{"identities":[{"id":1,"user_id":1,"type":"phone_number","value":5}],"meta":{"has_more":false}}`).UserIdentities(t.Context(), 1)
			return err
		},
		"a webhook among others": func() error {
			_, err := client(`{"webhooks":[{"id":"../x"}],"meta":{"has_more":false}}`).ListWebhooks(t.Context())
			return err
		},
	} {
		if err := read(); !errors.Is(err, ErrUnreadable) || asError(t, err).Class != ClassMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, body := range map[string]string{"no user": `{}`, "null": `{"user":null}`, "no id": `{"user":{"id":null}}`} {
		if _, _, err := client(body).ShowUser(t.Context(), 1); errors.Is(err, ErrUnreadable) || asError(t, err).Class != ClassMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIdentitiesOfWhomOneCannotBeReadAreNotKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identities string
		want       map[int64]int
	}{
		"all of them":             {`[{"user_id":1,"type":"email"},{"user_id":1,"type":"phone_number"}]`, map[int64]int{1: 2, 2: 0}},
		"one that is a number":    {`[{"user_id":1,"type":"email"},{"user_id":1,"type":"phone_number","value":5}]`, map[int64]int{2: 0}},
		"one of somebody else":    {`[{"user_id":1,"type":"email"},{"user_id":77,"type":"phone_number","value":5}]`, map[int64]int{1: 1, 2: 0}},
		"one that may be anyones": {`[{"user_id":1,"type":"email"},{"type":"phone_number"}]`, nil},
		"not even an object":      {`[5]`, nil},
	} {
		client := newClient(t, basicConfig(play(answers(200, `{"users":[{"id":1},{"id":2}],"identities":`+c.identities+`}`))))
		a, err := client.ShowManyUsers(t.Context(), []int64{1, 2}, true)
		if err != nil {
			t.Fatal(err)
		}
		var got map[int64]int
		for id, all := range a.Identities {
			if got == nil {
				got = map[int64]int{}
			}
			got[id] = len(all)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func FuzzExportPage(f *testing.F) {
	for _, s := range []string{
		`{"users":[{"id":1,"tags":["a"]}],"after_cursor":"x","end_of_stream":false}`, `{"users":[],"after_cursor":null,"end_of_stream":true}`,
		`{"users":[{"id":1}],"identities":[{"id":3,"user_id":1,"type":"phone_number","value":"+1"}],"after_cursor":"y","end_of_stream":true}`,
		`{"users":[{"id":1},{"id":2}],"identities":[{"user_id":1,"type":"phone_number","value":5}],"after_cursor":"y","end_of_stream":true}`,
		`{"users":[null],"end_of_stream":true}`, `{"users":null}`, `{"users":{"id":1}}`, `[]`, `<html>`, "", `{"users":[{"id":1e3}],"end_of_stream":true}`,
		`{"users":[{"id":1},` + oddities + `],"after_cursor":"y","end_of_stream":true}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newClient(t, basicConfig(play(answers(200, string(body)))))
		p, err := c.ExportUsers(t.Context(), ExportRequest{Cursor: "x"})
		if err != nil {
			if e := asError(t, err); e.Class != ClassMalformed {
				t.Errorf("got %v", err)
			}
			return
		}
		if !p.EndOfStream && (p.AfterCursor == "" || p.AfterCursor == "x") {
			t.Errorf("a page that leads nowhere: %q", body)
		}
		expectAllCounted(t, body, "users", len(p.Users), p.Skipped)
		for _, u := range p.Users {
			if u.ID <= 0 || !json.Valid(u.Raw) {
				t.Errorf("user %+v", u)
			}
			for _, i := range p.Identities[u.ID] {
				if i.UserID != u.ID {
					t.Errorf("user %d has an identity of %d", u.ID, i.UserID)
				}
			}
		}
	})
}

// expectAllCounted: what a page's list holds has been read or counted as not.
func expectAllCounted(t *testing.T, body []byte, key string, read, skipped int) {
	t.Helper()
	var w map[string]json.RawMessage
	var all []json.RawMessage
	if json.Unmarshal(body, &w) != nil || json.Unmarshal(w[key], &all) != nil {
		return // the key stands there in another case, which encoding/json allows
	}
	for k := range w {
		if k != key && strings.EqualFold(k, key) {
			return // or twice
		}
	}
	if read+skipped != len(all) {
		t.Errorf("%d of %d records are read, %d skipped: %q", read, len(all), skipped, body)
	}
}

func FuzzSearchExportPage(f *testing.F) {
	for _, s := range []string{
		`{"results":[{"id":1,"status":"open"}],"meta":{"has_more":true,"after_cursor":"y"},"links":{"next":"z"}}`,
		`{"results":[],"meta":{"has_more":false,"after_cursor":null}}`, `{"results":[{"id":1}],"meta":null}`,
		`{"results":[{"id":1},` + oddities + `],"meta":{"has_more":true,"after_cursor":"x"}}`, `{"results":null,"meta":{}}`, `{}`, `[]`, "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newClient(t, basicConfig(play(answers(200, string(body)))))
		p, err := c.SearchTickets(t.Context(), "status<solved", "x")
		if err != nil {
			if e := asError(t, err); e.Class != ClassMalformed {
				t.Errorf("got %v", err)
			}
			return
		}
		if !p.EndOfStream && (p.AfterCursor == "" || p.AfterCursor == "x") {
			t.Errorf("a page that leads nowhere: %q", body)
		}
		expectAllCounted(t, body, "results", len(p.Tickets), p.Skipped)
		if i := slices.IndexFunc(p.Tickets, func(t Ticket) bool { return t.ID <= 0 || !json.Valid(t.Raw) }); i >= 0 {
			t.Errorf("ticket %+v", p.Tickets[i])
		}
	})
}

// BenchmarkExportPage reads a page of a thousand tickets, 1 in 100 of which is bad.
func BenchmarkExportPage(b *testing.B) {
	var page strings.Builder
	page.WriteString(`{"tickets":[{"id":1}`)
	for i := range 999 {
		id := fmt.Sprint(i + 2)
		if i%100 == 0 {
			id = `"x"`
		}
		fmt.Fprintf(&page, `,{"id":%s,"status":"open","subject":"It burns","requester_id":7,"tags":["a","b"],"updated_at":"2023-09-18T23:26:00Z","description":%q}`,
			id, strings.Repeat("word ", 200))
	}
	page.WriteString(`],"after_cursor":"b","end_of_stream":true}`)
	c := newClient(b, basicConfig(play(answers(200, page.String()))))
	b.ReportAllocs()
	b.SetBytes(int64(page.Len()))
	for b.Loop() {
		var w struct {
			Tickets ticketList `json:"tickets"`
			streamEnd
		}
		if err := c.decode(&call{}, &answer{body: []byte(page.String())}, &w); err != nil || len(w.Tickets.bad) != 10 {
			b.Fatal(err, len(w.Tickets.bad))
		}
	}
}
