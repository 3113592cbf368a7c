package zendesktest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var unlimited = Limits{Off: true}

func TestSystemUpdatesMoveOnlyTheGeneratedTimestamp(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	ticket := d.ticket(TicketSpec{Requester: user, Subject: "Router"})
	created := d.clock.now().Unix()
	d.clock.advance(time.Hour)
	d.must(d.SystemBump(ticket))
	bumped := d.clock.now().Unix()
	d.clock.advance(2 * time.Minute)

	items, _ := d.walk("tickets", "")
	if len(items) != 1 {
		t.Fatalf("the export has %d records, want the ticket once", len(items))
	}
	if got := items[0]["generated_timestamp"]; got != float64(bumped) {
		t.Errorf("generated_timestamp is %v, want %d", got, bumped)
	}
	if got := items[0]["updated_at"]; got != timestamp(uint32(created)) {
		t.Errorf("updated_at is %v, want that of the creation", got)
	}
	// The export finds it by the later time, although updated_at lies before.
	a := d.ok("/api/v2/incremental/tickets/cursor", "start_time", strconv.FormatInt(created+60, 10))
	if got := len(a.list("tickets")); got != 1 {
		t.Errorf("from a start time after updated_at: %d records, want 1", got)
	}
	if _, there := d.ok("/api/v2/tickets/1.json").object("ticket")["generated_timestamp"]; there {
		t.Error("a single show has a generated_timestamp")
	}
}

func TestTheNewestMinuteIsHidden(t *testing.T) {
	for name, c := range map[string]struct {
		hide    time.Duration
		visible time.Duration // how long after the change it must be there
		hidden  time.Duration // how long after it must not
	}{
		"a minute by default":                 {0, 60 * time.Second, 58 * time.Second},
		"as long as is asked for":             {10 * time.Second, 10 * time.Second, 8 * time.Second},
		"without it still the current second": {-1, time.Second, 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Options{Limits: unlimited, HideNewest: c.hide})
			d.clock.advance(time.Hour)
			_, resume := d.walk("users", "")
			user := d.CreateUser(UserSpec{Name: "Ada Example"})
			d.clock.advance(c.hidden)
			if items, _ := d.walk("users", resume); len(items) != 0 {
				t.Errorf("after %s the export has it already", c.hidden)
			}
			d.clock.advance(c.visible - c.hidden)
			items, _ := d.walk("users", resume)
			if diff := cmp.Diff([]int64{user}, idsOf(items)); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", c.visible, diff)
			}
		})
	}
}

func TestARecentStartTimeIsRefused(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	start := func(ago time.Duration) string { return strconv.FormatInt(d.clock.now().Add(-ago).Unix(), 10) }
	for _, c := range []struct {
		path, word string
		status     int
	}{
		{"/api/v2/incremental/tickets/cursor.json", "StartTimeTooRecent", 400},
		{"/api/v2/incremental/users/cursor", "StartTimeTooRecent", 400},
		{"/api/v2/incremental/tickets.json", "InvalidValue", 422},
		{"/api/v2/incremental/users", "InvalidValue", 422},
	} {
		a := d.get(c.path, "start_time", start(59*time.Second))
		if a.Status != c.status || a.JSON["error"] != c.word {
			t.Errorf("%s: %d %s, want %d %s", c.path, a.Status, a.Body, c.status, c.word)
		}
		d.ok(c.path, "start_time", start(60*time.Second))
	}
	for _, bad := range []string{"", "yesterday", "-1"} {
		if a := d.get("/api/v2/incremental/users/cursor.json", "start_time", bad); a.Status != 400 {
			t.Errorf("start_time %q: status %d, want 400", bad, a.Status)
		}
	}
}

func TestExportIsOrderedBySecondAndID(t *testing.T) {
	d := newDesk(t, Options{Seed: 7, Users: 300, Limits: unlimited})
	for _, kind := range []string{"users", "tickets"} {
		var last [2]int64
		items, _ := d.walk(kind, "", "per_page", "37")
		for _, x := range items {
			key := [2]int64{exportTime(t, kind, x), idsOf([]map[string]any{x})[0]}
			if slices.Compare(key[:], last[:]) <= 0 {
				t.Fatalf("%s: %v comes after %v", kind, key, last)
			}
			last = key
		}
		users, tickets := d.Truth().Size()
		if want := map[string]int{"users": users, "tickets": tickets}[kind]; len(items) != want {
			t.Errorf("%s: %d records in all, want %d", kind, len(items), want)
		}
	}
}

// exportTime is what a record is ordered by.
func exportTime(t *testing.T, kind string, x map[string]any) int64 {
	t.Helper()
	if kind == "tickets" {
		n, ok := x["generated_timestamp"].(float64)
		if !ok {
			t.Fatal("a ticket without generated_timestamp")
		}
		return int64(n)
	}
	text, _ := x["updated_at"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}

func TestCursorsHaveTheRecordedForm(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited, Subdomain: "acme"})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	d.ticket(TicketSpec{Requester: user})
	d.clock.advance(2 * time.Minute)
	a := d.ok("/api/v2/incremental/tickets/cursor.json", "start_time", "0", "per_page", "1")
	cursor, _ := a.JSON["after_cursor"].(string)
	plain, err := base64.StdEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d.0||1|", testTime.Unix()); string(plain) != want {
		t.Errorf("the cursor says %q, want %q", plain, want)
	}
	wantURL := "https://acme.zendesk.com/api/v2/incremental/tickets/cursor.json?cursor=" + "MTc3MjYxODQzMC4wfHwxfA%3D%3D" + "&per_page=1"
	want := map[string]any{"after_url": wantURL, "before_url": nil, "before_cursor": nil, "after_cursor": cursor, "end_of_stream": true}
	got := map[string]any{}
	for k, v := range a.JSON {
		if k != "tickets" {
			got[k] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("around the tickets (-want +got):\n%s", diff)
	}
	// Asked again at the end, the same cursor comes back, with nothing before it.
	again := d.ok("/api/v2/incremental/tickets/cursor.json", "cursor", cursor)
	if len(again.list("tickets")) != 0 || again.JSON["after_cursor"] != cursor || again.JSON["end_of_stream"] != true {
		t.Errorf("at the end of the stream: %s", again.Body)
	}
	for _, bad := range []string{"nonsense", base64.StdEncoding.EncodeToString([]byte("12.0||999|")), base64.StdEncoding.EncodeToString([]byte("x.0||1|"))} {
		if a := d.get("/api/v2/incremental/tickets/cursor.json", "cursor", bad); a.Status != 400 {
			t.Errorf("cursor %q: status %d, want 400", bad, a.Status)
		}
	}
}

func TestAnEmptyExportCanBeResumed(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	_, resume := d.walk("tickets", "")
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	d.ticket(TicketSpec{Requester: user})
	d.clock.advance(2 * time.Minute)
	if items, _ := d.walk("tickets", resume); len(items) != 1 {
		t.Errorf("resumed: %d records, want the first ticket", len(items))
	}
}

// Whatever is done between the pages, a reader who follows the cursor and
// believes the last record of each object ends up with the truth.
func TestFollowingTheCursorGivesTheTruth(t *testing.T) {
	for seed := range uint64(4) {
		d := newDesk(t, Options{Seed: seed, Users: 120, Limits: unlimited, HideNewest: time.Duration(seed)*20*time.Second - 1})
		rng := rand.New(rand.NewPCG(seed, 99))
		users, tickets := map[int64]map[string]any{}, map[int64]map[string]any{}
		cursor := map[string]string{}
		for range 30 {
			for range rng.IntN(40) {
				d.RandomEdit(rng)
				d.clock.advance(time.Duration(rng.IntN(1500)) * time.Millisecond)
			}
			for kind, held := range map[string]map[int64]map[string]any{"users": users, "tickets": tickets} {
				var items []map[string]any
				items, cursor[kind] = d.walk(kind, cursor[kind], "per_page", "25")
				for _, x := range items {
					held[idsOf([]map[string]any{x})[0]] = x
				}
			}
		}
		d.clock.advance(2 * time.Minute)
		for kind, held := range map[string]map[int64]map[string]any{"users": users, "tickets": tickets} {
			items, _ := d.walk(kind, cursor[kind])
			for _, x := range items {
				held[idsOf([]map[string]any{x})[0]] = x
			}
		}
		n := 0
		for u := range d.Truth().Users() {
			n++
			phone, _ := users[u.ID]["phone"].(string)
			if x := users[u.ID]; x["name"] != u.Name || phone != u.Phone || x["active"] != u.Active || x["suspended"] != u.Suspended {
				t.Errorf("seed %d: user %d is %v, want %+v", seed, u.ID, x, u)
			}
		}
		if n != len(users) {
			t.Errorf("seed %d: %d users were read, there are %d", seed, len(users), n)
		}
		for k := range d.Truth().Tickets() {
			x := tickets[k.ID]
			if x["status"] != k.Status || x["requester_id"] != float64(k.RequesterID) || x["subject"] != k.Subject {
				t.Errorf("seed %d: ticket %d is %v, want %+v", seed, k.ID, x, k)
			}
		}
	}
}

func TestTimeBasedExport(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	d.clock.advance(time.Hour)
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	tickets := func(n int) {
		for range n {
			d.ticket(TicketSpec{Requester: user})
		}
		d.clock.advance(time.Second)
	}
	first := d.clock.now().Unix()
	tickets(2) // tickets 1 and 2
	tickets(5) // 3 to 7
	tickets(1) // 8
	d.clock.advance(2 * time.Minute)
	page := func(start int64) (ids []int64, a answer) {
		a = d.ok("/api/v2/incremental/tickets.json", "start_time", strconv.FormatInt(start, 10), "per_page", "3")
		return idsOf(a.list("tickets")), a
	}
	end := func(a answer) int64 {
		n, _ := a.JSON["end_time"].(float64)
		if want := fmt.Sprintf("https://sim.zendesk.com/api/v2/incremental/tickets.json?per_page=3&start_time=%d", int64(n)); a.JSON["next_page"] != want {
			t.Errorf("next_page is %v, want %s", a.JSON["next_page"], want)
		}
		return int64(n)
	}
	ids, a := page(first)
	if diff := cmp.Diff([]int64{1, 2, 3}, ids); diff != "" || end(a) != first+1 || a.JSON["end_of_stream"] != false {
		t.Fatalf("a page over two seconds ends in the second one, %d:\n%s\n%s", first+1, diff, a.Body)
	}
	ids, a = page(end(a))
	if diff := cmp.Diff([]int64{3, 4, 5, 6, 7}, ids); diff != "" {
		t.Errorf("the next begins with that second again, and holds the whole of it past per_page:\n%s", diff)
	}
	if end(a) != first+2 || a.JSON["count"] != float64(5) {
		t.Errorf("a page in one second must be left behind: %s", a.Body)
	}
	ids, a = page(end(a))
	if diff := cmp.Diff([]int64{8}, ids); diff != "" || a.JSON["end_of_stream"] != true || end(a) != first+2 {
		t.Errorf("the last page has a next page too:\n%s\n%s", diff, a.Body)
	}
	ids, a = page(first + 50)
	if len(ids) != 0 || a.JSON["end_of_stream"] != true || end(a) != first+50 {
		t.Errorf("an empty page: %s", a.Body)
	}
}

func TestDeletedThingsInTheExport(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	user := d.CreateUser(UserSpec{Name: "Ada Example", Phone: "+15135557611", Email: "ada@example.com"})
	gone := d.CreateUser(UserSpec{Name: "Bob Example", Phone: "+15135557612"})
	ticket := d.ticket(TicketSpec{Requester: user, Subject: "Router", Description: "It blinks", Priority: "high"})
	_, users := d.walk("users", "")
	_, tickets := d.walk("tickets", "")
	next := func(kind string, cursor *string) map[string]any {
		t.Helper()
		d.clock.advance(2 * time.Minute)
		var items []map[string]any
		items, *cursor = d.walk(kind, *cursor)
		if len(items) == 0 {
			return nil
		}
		return items[len(items)-1]
	}
	next("users", &users)
	next("tickets", &tickets)

	d.must(d.DeleteTicket(ticket))
	if x := next("tickets", &tickets); x["status"] != "deleted" || x["subject"] != "Router" {
		t.Errorf("a deleted ticket: %v", x)
	}
	if a := d.get("/api/v2/tickets/1.json"); a.Status != 404 || a.JSON["error"] != "RecordNotFound" {
		t.Errorf("a deleted ticket by id: %d %s", a.Status, a.Body)
	}
	if items, _ := d.walk("tickets", "", "exclude_deleted", "true"); len(items) != 0 {
		t.Errorf("exclude_deleted shows it: %v", items)
	}
	d.must(d.RestoreTicket(ticket))
	if x := next("tickets", &tickets); x["status"] != "new" {
		t.Errorf("a restored ticket: %v", x)
	}
	before, _ := d.Truth().Ticket(ticket)
	d.must(d.ScrubTicket(ticket))
	x := next("tickets", &tickets)
	if x["status"] != "deleted" || x["subject"] != "SCRUBBED" || x["raw_subject"] != "SCRUBBED" || x["description"] != "X" || x["priority"] != "high" {
		t.Errorf("a scrubbed ticket: %v", x)
	}
	if x["updated_at"] != timestamp(uint32(before.UpdatedAt)) {
		t.Errorf("scrubbing moved updated_at")
	}

	d.must(d.DeleteUser(user))
	if x := next("users", &users); x["active"] != false || x["phone"] != "+15135557611" {
		t.Errorf("a deleted user: %v", x)
	}
	if a := d.ok("/api/v2/users/" + strconv.FormatInt(user, 10)); a.object("user")["active"] != false {
		t.Errorf("a deleted user by id: %s", a.Body)
	}
	d.must(d.PermanentlyDelete(user))
	if x := next("users", &users); x["name"] != "Permanently Deleted User" || x["phone"] != nil || x["email"] != nil || x["active"] != false {
		t.Errorf("a permanently deleted user: %v", x)
	}
	d.must(d.Vanish(user))
	d.must(d.Vanish(gone))
	if x := next("users", &users); x != nil {
		t.Errorf("who vanishes leaves no record: %v", x)
	}
	all, _ := d.walk("users", "")
	if ids := idsOf(all); slices.Contains(ids, user) || slices.Contains(ids, gone) {
		t.Error("a full walk still shows who has vanished")
	}
	if a := d.get("/api/v2/users/" + strconv.FormatInt(gone, 10)); a.Status != 404 {
		t.Errorf("a vanished user by id: status %d, want 404", a.Status)
	}
}

func TestMergedPeople(t *testing.T) {
	for name, vanish := range map[string]bool{"the loser turns inactive": false, "the loser vanishes": true} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Options{Limits: unlimited, MergedVanish: vanish})
			loser := d.CreateUser(UserSpec{Name: "Ada Old", Phone: "+15135557611", Identities: []string{"+15135557613"}})
			winner := d.CreateUser(UserSpec{Name: "Ada New", Phone: "+15135557612"})
			ticket := d.ticket(TicketSpec{Requester: loser})
			d.clock.advance(time.Minute)
			d.must(d.MergeUsers(loser, winner))
			d.clock.advance(2 * time.Minute)
			items, _ := d.walk("users", "")
			at := slices.Index(idsOf(items), loser)
			if vanish != (at < 0) || (at >= 0 && items[at]["active"] != false) {
				t.Errorf("the loser is record %d of the export", at)
			}
			u, _ := d.Truth().User(winner)
			if diff := cmp.Diff([]string{"+15135557613", "+15135557611"}, u.Identities); diff != "" {
				t.Errorf("the winner's identities (-want +got):\n%s", diff)
			}
			a := d.ok(fmt.Sprintf("/api/v2/users/%d/tickets/requested", winner))
			if diff := cmp.Diff([]int64{ticket}, idsOf(a.list("tickets"))); diff != "" {
				t.Errorf("the winner's tickets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentitiesInTheUserExport(t *testing.T) {
	for name, on := range map[string]bool{"are not there by default": false, "are, where switched on": true} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Options{Limits: unlimited, SideloadIdentities: on})
			d.CreateUser(UserSpec{Name: "Ada Example", Identities: []string{"(513) 555-7611"}})
			d.clock.advance(2 * time.Minute)
			a := d.ok("/api/v2/incremental/users/cursor.json", "start_time", "0", "include", "identities")
			if got := len(a.list("identities")) > 0; got != on {
				t.Errorf("identities are there: %v, want %v", got, on)
			}
		})
	}
}

func TestIdentityChangesAndUpdatedAt(t *testing.T) {
	for name, on := range map[string]bool{"leave it by default": false, "move it, where switched on": true} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Options{IdentityTouchesUser: on})
			id := d.CreateUser(UserSpec{Name: "Ada Example"})
			d.clock.advance(time.Hour)
			d.must(d.AddIdentity(id, "+15135557611"))
			u, _ := d.Truth().User(id)
			if moved := u.UpdatedAt == d.clock.now().Unix(); moved != on {
				t.Errorf("updated_at moved: %v, want %v", moved, on)
			}
			d.must(d.RemoveIdentity(id, "+15135557611"))
			if u, _ := d.Truth().User(id); len(u.Identities) != 0 {
				t.Errorf("identities left: %v", u.Identities)
			}
		})
	}
}
