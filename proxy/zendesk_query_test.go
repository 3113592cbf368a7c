package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/ani"
)

// What is left of a query for people is read by the real reader of numbers.
func TestNumbersInSearchesForPeople(t *testing.T) {
	reader, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	const number, twoDigitCountry = "+15135557611", "+442079460958"
	tests := []struct {
		name  string
		query string // as it stands in the address
		want  string // E.164, or the class of what is none
	}{
		{"a plus", "type:user%20%2B15135557611", number},
		{"a plus, all of it as a form", "type%3Auser+%2B15135557611", number},
		{"a plus that arrives as a space", "type:user%20+15135557611", number},
		{"a plus that arrives as a space, at home elsewhere", "type:user%20+442079460958", twoDigitCountry},
		{"a plus that was encoded twice", "type:user%20%252B15135557611", number},
		{"a plus that was encoded once too often and lost its space", "type:user+%252B442079460958", twoDigitCountry},
		{"no plus", "type:user%2015135557611", number},
		{"ten digits", "type:user%205135557611", number},
		{"spaces and brackets", "type:user%20(513)%20555-7611", number},
		{"spaces, brackets and a plus as a space", "type:user%20+1%20(513)%20555-7611", number},
		{"quotes", "type:user%20%22%2B1%20513-555-7611%22", number},
		{"quotes around a plus that arrives as a space", "type:user%20%22+442079460958%22", twoDigitCountry},
		{"the number first", "%2B15135557611%20type:user", number},
		{"a plus as a space first", "+442079460958%20type:user", twoDigitCountry},
		{"capital letters", "TYPE:User%20%2B15135557611", number},
		{"no type", "%2B15135557611", number},
		{"a role", "role:end-user%20%2B15135557611", number},
		{"a type, a role and a plus as a space", "type:user%20role:end-user%20+442079460958", twoDigitCountry},
		{"a role behind", "%2B15135557611%20role:end-user", number},
		{"the recipe of Zendesk's documentation", "role:end-user%20phone:*5135557611", number},
		{"phone with a plus", "type:user%20phone:%2B15135557611", number},
		{"phone with a plus that arrives as a space", "type:user%20phone:+442079460958", twoDigitCountry},
		{"phone with quotes", "type:user%20phone:%22(513)%20555-7611%22", number},
		{"phone in capital letters before the type", "PHONE:*15135557611%20type:user", number},
		{"tel", "type:user%20tel:%2B1-513-555-7611", number},
		{"sip", "type:user%20sip:%2B15135557611@example.org;user=phone", number},
		{"an extension", "type:user%20513-555-7611;ext=22", number},
		{"tabs and line ends", "type:user%0D%0A%095135557611", "invalid"},
		{"anonymous", "type:user%20anonymous", "anonymous"},
		{"null", "type:user%20null", "anonymous"},
		{"nothing", "type:user", "anonymous"},
		{"nothing but spaces", "type:user%20%20", "anonymous"},
		{"nothing at all", "", "anonymous"},
		{"an empty phone", "type:user%20phone:", "anonymous"},
		{"a short number", "type:user%20911", "short_code"},
		{"a variable's name", "type:user%20%7B%7BNewPhoneContact.ANI%7D%7D", "invalid"},
		{"too few digits", "type:user%205557611", "invalid"},
		{"two numbers", "type:user%205135557611%205135557612", "invalid"},
		{"a name", "type:user%20Ann%20Lee", "refused"},
		{"an e-mail address", "type:user%20ann@example.org", "refused"},
		{"an e-mail address by its field", "type:user%20email:ann@example.org", "refused"},
		{"a name beside a number", "type:user%20Ann%205135557611", "refused"},
		{"a field beside a number", "type:user%205135557611%20organization:acme", "refused"},
		{"a field in capital letters", "type:user%20NAME:5135557611", "refused"},
		{"not of a type", "-type:user%205135557611", "refused"},
		{"another role", "role:agent%205135557611", "refused"},
		{"another type", "type:ticket%205135557611", "refused"},
		{"a comparison", "type:user%20created%3E2020-01-01", "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			query, err := readZendeskQuery("query=" + tt.query + "&per_page=1").query()
			if err != nil {
				t.Fatal(err)
			}
			got := "refused"
			if q, err := readUserQuery(query); err == nil {
				if r := reader.Normalize(q.number); r.Class == ani.Number {
					got = r.E164
				} else if r.Reason != ani.ReasonLetters {
					got = r.Class.String()
				}
			}
			if got != tt.want {
				t.Errorf("%q is %s, want %s", query, got, tt.want)
			}
		})
	}
}

func TestSearchesForTickets(t *testing.T) {
	tests := []struct {
		name, query string
		want        int64 // -1 where it is refused
	}{
		{"the template's, with two spaces", "type:ticket status<solved  requester:123", 123},
		{"one space", "type:ticket status<solved requester:123", 123},
		{"tabs and line ends", "type:ticket\tstatus<solved\r\nrequester:123", 123},
		{"another order", "requester:123 status<solved type:ticket", 123},
		{"capital letters", "Type:Ticket STATUS<Solved Requester:123", 123},
		{"no status", "type:ticket requester:123", 123},
		{"no type", "status<solved requester:123", 123},
		{"the requester alone", " requester:123 ", 123},
		{"the requester twice", "requester:123 requester:123", 123},
		{"quotes", `requester:"123"`, 123},
		{"a number that a flow broke", "requester:123.0", 123},
		{"the longest id", "requester:9223372036854775807", 9223372036854775807},
		{"null", "type:ticket status<solved  requester:null", 0},
		{"nothing", "type:ticket status<solved  requester:", 0},
		{"nought", "requester:0", 0},
		{"none", "requester:none", 0},
		{"undefined", "requester:undefined", 0},
		{"a negative number", "requester:-5", 0},
		{"another requester too", "requester:123 requester:124", -1},
		{"another requester too, who is nobody", "requester:123 requester:0", -1},
		{"nobody named", "type:ticket status<solved", -1},
		{"an address", "requester:ann@example.org", -1},
		{"oneself", "requester:me", -1},
		{"a variable's name", "requester:{{userID}}", -1},
		{"a number that is too long", "requester:92233720368547758070", -1},
		{"not by somebody", "-requester:123", -1},
		{"another status", "status:closed requester:123", -1},
		{"another comparison", "status<closed requester:123", -1},
		{"another field", "requester:123 tags:vip", -1},
		{"another word", "requester:123 printer", -1},
		{"a space before the id", "requester: 123", -1},
		{"another type", "type:user requester:123", -1},
		{"an order within", "requester:123 order_by:created", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readTicketQuery(tt.query)
			if err != nil {
				got = -1
			}
			if got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestWhatASearchIsFor(t *testing.T) {
	for query, want := range map[string]searchKind{
		"type:user 5": forUsers, "role:end-user phone:*5": forUsers, "phone:5": forUsers, "TYPE:USER": forUsers,
		"type:ticket": forTickets, "requester:5": forTickets, "status<solved": forTickets,
		"": noKind, "5135557611": noKind, "type:user requester:5": noKind, "type:organization acme": noKind, "type:user type:ticket": noKind,
	} {
		if got := searchKindOf(query); got != want {
			t.Errorf("%q is for %d, want %d", query, got, want)
		}
	}
}

func TestParametersOfASearch(t *testing.T) {
	p := readZendeskQuery("query=%2&page=&per_page=5&per_page=5&sort_by=a&sort_by=b&page%5Bsize%5D=7&x&sort_order=null&%71uery=%2")
	got := map[string]string{}
	for _, name := range []string{"query", "page", "per_page", "sort_by", "page[size]", "sort_order", "absent"} {
		got[name] = p.value(name)
	}
	want := map[string]string{"query": "%2", "page": "", "per_page": "5", "sort_by": "", "page[size]": "7", "sort_order": "", "absent": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the parameters (-want +got):\n%s", diff)
	}
	if _, err := readZendeskQuery("query=5&query=6").query(); err == nil {
		t.Error("two queries are one")
	}
}

// FuzzZendeskQuery asks both searches whatever comes: each answer is a list or
// an error of Zendesk's, and no answer or line of the log repeats a query.
func FuzzZendeskQuery(f *testing.F) {
	for _, query := range []string{
		"query=type:user%20+15135550101", "query=type:ticket%20status%3Csolved%20%20requester:" + annsID + "&sort_by=created_at", "query=requester:null",
		"query=role:end-user+phone:*5135550101&page=2&per_page=1", "query=type:user%20%22%22", "query=&query=x", "page[size]=1&query=phone:", "query=type:user type:user",
		"query=%ff", "query=requester:5&page=99999999999", "query=a@b",
	} {
		f.Add(query)
	}
	w := newWorld(f, func(o *Options) { o.DemoAll = true })
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/api/v2/users/search.json", "//api/v2/search"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+zendeskRoot, nil)
			r.RemoteAddr = "127.0.0.1:1"
			r.URL.Path, r.URL.RawQuery = path, query
			answer := httptest.NewRecorder()
			w.Public().ServeHTTP(answer, r)
			got := reply{status: answer.Code, header: answer.Header(), body: answer.Body.Bytes()}
			list := map[string]string{"/api/v2/users/search.json": "users", "//api/v2/search": "results"}[path]
			switch answer.Code {
			case http.StatusOK:
				for _, id := range got.found(t, list) {
					if id != annsID && id != "12" && id != "31" && (len(id) != 3 || id[0] != '5') {
						t.Errorf("%s found %s", path, id)
					}
				}
			case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestURITooLong:
				got.envelope(t, answer.Code)
			default:
				t.Errorf("status %d: %s", answer.Code, got.body)
			}
		}
		// A number survives: put into the template, it comes out as it was.
		number := strings.TrimSpace(unescape(query))
		if number != query || strings.ContainsAny(number, "&:<>=\"") || fieldOf(number) != "" {
			return
		}
		q, err := readUserQuery("type:user " + number)
		if err != nil || q.number != number || q.endUsers {
			t.Errorf("%q comes out as %q, %v", number, q.number, err)
		}
		if id, err := readTicketQuery("type:ticket status<solved  requester:" + number); err == nil && id > 0 {
			if again, ok := wholeNumber(fmt.Sprint(id)); !ok || again != id {
				t.Errorf("%q is %d", number, id)
			}
		}
	})
}

func TestASearchByBothWaysIsTheSame(t *testing.T) {
	w := newWorld(t, template)
	for _, number := range []string{annsNumber, quietNumber, sharedNumber, nobodys, downNumber, "anonymous", "911", "12x34"} {
		query := url.QueryEscape("type:user " + number)
		users, results := w.zen(t, "/api/v2/users/search?query="+query), w.zen(t, "/api/v2/search?query="+query)
		if diff := cmp.Diff(users.found(t, "users"), results.found(t, "results")); diff != "" {
			t.Errorf("%s (-users +results):\n%s", number, diff)
		}
		if a, b := users.header.Get(outcomeHeader), results.header.Get(outcomeHeader); a != b || a == "" {
			t.Errorf("%s: the outcomes are %q and %q", number, a, b)
		}
	}
	q := w.resolver.last(t)
	if q.AllowLive == nil || q.Fresh || q.WithTickets {
		t.Errorf("the resolver was asked %+v", q)
	}
}
