package zendesktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

func TestTheSameSeedMakesTheSameAccount(t *testing.T) {
	dump := func(seed uint64) string {
		d := newDesk(t, Options{Seed: seed, Users: 200, Limits: unlimited})
		rng := rand.New(rand.NewPCG(seed, 1))
		edits := make([]string, 0, 100)
		for range 100 {
			edits = append(edits, d.RandomEdit(rng))
		}
		d.clock.advance(DefaultHideNewest * 2)
		users, _ := d.walk("users", "")
		tickets, _ := d.walk("tickets", "")
		b, err := json.Marshal([]any{users, tickets, edits})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one := dump(5)
	if one != dump(5) {
		t.Error("twice the same seed, and two accounts")
	}
	if one == dump(6) {
		t.Error("another seed, and the same account")
	}
}

func TestNumbersAreValidAndUniqueAndSpeltReadably(t *testing.T) {
	stock := newNumberStock(11)
	rng := rand.New(rand.NewPCG(11, 1))
	seen := map[string]bool{}
	for p := range stock.plans {
		first := stock.plans[p].blocks[0].capacity()
		for k := range 12_000 {
			if k == 6000 && first > 12_000 { // on to where one block ends and the next begins
				stock.given[p] = first - 200
			}
			x := stock.next(p)
			if seen[x.e164()] {
				t.Fatalf("%s twice", x.e164())
			}
			seen[x.e164()] = true
			if k%30 != 0 && (k < 5900 || k > 6300) { // the library takes its time
				continue
			}
			parsed, err := phonenumbers.Parse(x.e164(), "")
			if err != nil || !phonenumbers.IsValidNumber(parsed) {
				t.Fatalf("%s is not valid: %v", x.e164(), err)
			}
			spelt := x.spell(rng)
			if got := readNumber(spelt); got != x.value() {
				t.Fatalf("%q reads as %d, want %s", spelt, got, x.e164())
			}
			if x.plan.code != "1" && !strings.HasPrefix(spelt, "+") && !strings.HasPrefix(spelt, "00") {
				t.Fatalf("%q: only American numbers are written the national way", spelt)
			}
		}
	}
}

func TestPeopleAreAMixture(t *testing.T) {
	d := newDesk(t, Options{Seed: 2, Users: 5000})
	counts := map[string]int{}
	holders := map[string][]string{} // number to how each has it
	addresses := regexp.MustCompile(`^[a-z.]+\.\d+@(example\.com|example\.org|agents\.example\.com)$`)
	for u := range d.Truth().Users() {
		counts["role "+u.Role]++
		counts["locale "+u.Locale]++
		for what, is := range map[string]bool{
			"deleted": !u.Active, "suspended": u.Suspended, "no phone": u.Phone == "", "no address": u.Email == "",
			"unreadable": u.Phone != "" && u.Number == "", "shared": u.Shared, "tagged": len(u.Tags) > 0,
			"organisation": u.OrganizationID != 0, "identity": len(u.Identities) > 0, "messy": u.Number != "" && u.Phone != u.Number,
			"00": strings.HasPrefix(u.Phone, "00") && u.Number != "", "extension": strings.Contains(u.Phone, " x"),
			"unicode": strings.ContainsAny(u.Phone, "\u2010\u2011\u00a0"), "brackets": strings.HasPrefix(u.Phone, "("),
		} {
			if is {
				counts[what]++
			}
		}
		if u.Email != "" && u.Email != DefaultEmail && !addresses.MatchString(u.Email) {
			t.Errorf("the address %q is not one reserved for examples", u.Email)
		}
		if u.Number != "" {
			holders[u.Number] = append(holders[u.Number], "profile")
		}
		for _, x := range u.Identities {
			if n := e164Of(readNumber(x)); n != "" {
				holders[n] = append(holders[n], "identity")
			}
		}
	}
	for number, how := range holders {
		slices.Sort(how)
		switch {
		case len(how) > 5:
			t.Errorf("%s has %d holders", number, len(how))
		case len(how) > 1 && how[0] == "identity":
			counts["shared, one by identity"]++
		case len(how) > 1:
			counts["shared, all by profile"]++
		case how[0] == "identity":
			counts["identity only"]++
		default:
			counts["unique"]++
		}
	}
	for what, least := range map[string]int{
		"role end-user": 5000, "role agent": 10, "role admin": 2, "deleted": 50, "suspended": 20, "no phone": 200, "no address": 200,
		"unreadable": 80, "shared": 300, "tagged": 1000, "organisation": 1000, "identity": 200, "messy": 1500, "00": 50,
		"extension": 50, "unicode": 100, "brackets": 200, "shared, one by identity": 20, "shared, all by profile": 80,
		"identity only": 200, "unique": 3000, "locale ": 200, "locale en-US": 1500, "locale de": 200, "locale pt-BR": 80,
	} {
		if counts[what] < least {
			t.Errorf("%s: %d, want %d at least", what, counts[what], least)
		}
	}
	tickets := map[string]int{}
	for x := range d.Truth().Tickets() {
		tickets["status "+x.Status]++
		tickets["priority "+x.Priority]++
		tickets["type "+x.Type]++
		tickets[fmt.Sprintf("brand %d", x.BrandID)]++
		tickets[fmt.Sprintf("custom %d", x.CustomStatusID)]++
		for what, is := range map[string]bool{
			"scrubbed": x.Scrubbed, "assigned": x.AssigneeID != 0, "private": x.Private, "bumped": x.GeneratedAt > x.UpdatedAt,
		} {
			if is {
				tickets[what]++
			}
		}
		if x.CreatedAt > x.UpdatedAt || x.UpdatedAt > x.GeneratedAt {
			t.Fatalf("ticket %d: created %d, updated %d, generated %d", x.ID, x.CreatedAt, x.UpdatedAt, x.GeneratedAt)
		}
		if u, ok := d.Truth().User(x.RequesterID); !ok || u.CreatedAt > x.CreatedAt {
			t.Fatalf("ticket %d is older than its requester", x.ID)
		}
	}
	for _, what := range []string{
		"status new", "status open", "status pending", "status hold", "status solved", "status closed", "status deleted",
		"priority ", "priority low", "priority normal", "priority high", "priority urgent",
		"type ", "type problem", "type incident", "type question", "type task", "scrubbed", "assigned", "private", "bumped",
	} {
		if tickets[what] < 20 {
			t.Errorf("tickets, %s: %d, want 20 at least", what, tickets[what])
		}
	}
	if len(tickets) < 28 {
		t.Errorf("only %d kinds of tickets: %v", len(tickets), tickets)
	}
}

func TestSharedPhoneNumberAndIdentities(t *testing.T) {
	d := newDesk(t, Options{})
	type seen struct {
		Shared any
		Phones []string
	}
	look := func(id int64) seen {
		a := d.ok(fmt.Sprintf("/api/v2/users/show_many.json?ids=%d&include=identities", id))
		got := seen{Shared: a.list("users")[0]["shared_phone_number"]}
		for _, x := range a.list("identities") {
			if value, _ := x["value"].(string); x["type"] == "phone_number" {
				got.Phones = append(got.Phones, value)
			}
		}
		return got
	}
	none := d.CreateUser(UserSpec{Name: "No Phone"})
	direct := d.CreateUser(UserSpec{Name: "Direct Line", Phone: "(513) 555-7611", Identities: []string{"513.555.7612"}})
	late := d.CreateUser(UserSpec{Name: "Late Comer", Phone: "+1 513 555 7611"})
	asked := d.CreateUser(UserSpec{Name: "Asked For", Phone: "+15135557613", SharedPhone: true})
	odd := d.CreateUser(UserSpec{Name: "Odd Phone", Phone: "call mobile"})
	for name, c := range map[string]struct {
		id   int64
		want seen
	}{
		"no phone is null":                                     {none, seen{Shared: nil}},
		"a direct line is an identity as well":                 {direct, seen{false, []string{"+15135557611", "513.555.7612"}}},
		"a number that is someone's direct line can be shared": {late, seen{Shared: true}},
		"shared where asked for":                               {asked, seen{Shared: true}},
		"what is no number is no identity":                     {odd, seen{Shared: true}},
	} {
		if diff := cmp.Diff(c.want, look(c.id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	a := d.ok(fmt.Sprintf("/api/v2/users/%d/identities.json?type[]=phone_number&page[size]=1", direct))
	if len(a.list("identities")) != 1 || a.object("meta")["has_more"] != true {
		t.Fatalf("first page of identities: %s", a.Body)
	}
	after, _ := a.object("meta")["after_cursor"].(string)
	a = d.ok(fmt.Sprintf("/api/v2/users/%d/identities", direct), "type[]", "phone_number", "page[size]", "1", "page[after]", after)
	if x := a.list("identities"); len(x) != 1 || x[0]["value"] != "513.555.7612" || a.object("meta")["has_more"] != false {
		t.Errorf("second page of identities: %s", a.Body)
	}
	if next := a.object("links")["next"]; next == nil {
		t.Error("links.next is null on the last page; the service's never is")
	}
}

func TestRequestedTicketsArePagedBothWays(t *testing.T) {
	d := newDesk(t, Options{})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	for range 5 {
		d.clock.advance(1e9)
		d.ticket(TicketSpec{Requester: user})
	}
	d.clock.advance(1e9)
	d.must(d.SetTicketPriority(2, "high"))
	d.must(d.DeleteTicket(4))
	path := fmt.Sprintf("/api/v2/users/%d/tickets/requested.json", user)
	var got []int64
	cursor := ""
	for more := true; more; {
		a := d.ok(path, "page[size]", "2", "sort", "-updated_at", "page[after]", cursor)
		got = append(got, idsOf(a.list("tickets"))...)
		cursor, _ = a.object("meta")["after_cursor"].(string)
		more = a.object("meta")["has_more"] == true
	}
	if diff := cmp.Diff([]int64{2, 5, 3, 1}, got); diff != "" {
		t.Errorf("by cursor, newest update first (-want +got):\n%s", diff)
	}
	a := d.ok(path, "per_page", "2", "page", "2", "sort_by", "created_at", "sort_order", "desc")
	if diff := cmp.Diff([]int64{2, 1}, idsOf(a.list("tickets"))); diff != "" || a.JSON["count"] != float64(4) || a.JSON["next_page"] != nil {
		t.Errorf("by offset: %s\n%s", diff, a.Body)
	}
	a = d.ok(path, "page[size]", "10", "sort_by", "updated_at", "sort_order", "desc")
	if diff := cmp.Diff([]int64{1, 2, 3, 5}, idsOf(a.list("tickets"))); diff != "" {
		t.Errorf("a sort_by beside page[size] is ignored (-want +got):\n%s", diff)
	}
	if a := d.get(path, "page", "101", "per_page", "100"); a.Status != http.StatusBadRequest || a.list("errors")[0]["code"] != "InvalidPaginationDepth" {
		t.Errorf("too deep: %d %s", a.Status, a.Body)
	}
	if a := d.ok("/api/v2/tickets/show_many.json?ids=1,4,5,999"); !cmp.Equal(idsOf(a.list("tickets")), []int64{1, 5}) {
		t.Errorf("show_many: %s", a.Body)
	}
	if a := d.get("/api/v2/tickets/show_many.json", "ids", strings.Repeat("1,", 101)); a.Status != 400 || a.JSON["error"] != "TooManyValues" {
		t.Errorf("101 ids: %d %s", a.Status, a.Body)
	}
}

func TestTheSuffixIndexFindsWhatAScanFinds(t *testing.T) {
	d := newDesk(t, Options{Seed: 4, Users: 500})
	rng := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		d.RandomEdit(rng)
	}
	d.suffixes.settle()
	for range 200 {
		d.RandomEdit(rng)
	}
	digits := []string{"1", "55", "611", "7611", "55501", "135551", "5135551", "00", "0000000000"}
	for u := range d.Truth().Users() {
		if n := digitsOf(u.Phone); len(n) > 4 {
			digits = append(digits, n, n[2:], n[len(n)-3:])
		}
	}
	for _, end := range digits {
		var want, got []int64
		for u := range d.Truth().Users() {
			if strings.HasSuffix(digitsOf(u.Phone), end) {
				want = append(want, u.ID)
			}
		}
		for i := range d.suffixes.ending(end) {
			if strings.HasSuffix(digitsOf(d.users[i].phone), end) {
				got = append(got, userID(i))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("*%s (-scan +index):\n%s", end, diff)
		}
	}
}

func FuzzReadNumber(f *testing.F) {
	for _, s := range []string{"(513) 555-7611", "+1 513.555.7611 x22", "0044 20 7946 0018", "call mobile", "0000000000", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := readNumber(s)
		if n != 0 && (e164Of(n) == "" || readNumber(e164Of(n)) == 0) {
			t.Errorf("%q reads as %d, which reads as nothing", s, n)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"plain", `"quoted" \ <b>&`, "two\nlines", "Störung", "\u2028", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil {
			t.Fatalf("no JSON: %v", err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); back != s && !bytes.Contains([]byte(back), []byte("\ufffd")) {
			t.Errorf("%q came back as %q, want %q", s, back, want)
		}
	})
}
