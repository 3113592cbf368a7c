package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHowTheNumberMayArrive(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	tests := []struct {
		name        string
		contentType string // "" for GET
		input       string
		want        string // what the resolver is asked; "-" for nothing
	}{
		{"an encoded plus", "", "ani=%2B15135550101", annsNumber},
		{"a raw plus, which a form reads as a space", "", "ani=+15135550101", " 15135550101"},
		{"a plus encoded twice", "", "ani=%252B15135550101", "%2B15135550101"},
		{"a semicolon is a character", "", "ani=tel:+1513;ext=22&lang=it", "tel: 1513;ext=22"},
		{"a percent that begins no escape", "", "ani=%2&x=%zz", "%2"},
		{"a percent in front of letters", "", "ani=%zz%2B1%", "%zz+1%"},
		{"an equals sign in the value", "", "ani=sip:1;a=b==", "sip:1;a=b=="},
		{"bytes that are no UTF-8", "", "ani=%ff%00", "\xff\x00"},
		{"a name that is encoded", "", "%61ni=5", "5"},
		{"other rows around it", "", "&&orgId=1&=&ani=5&&orgId=2", "5"},
		{"empty", "", "ani=", ""},
		{"a name alone", "", "ani", ""},
		{"twice the same", "", "ani=5&ani=%35", "5"},
		{"twice and not the same", "", "ani=5&ani=6", "-"},
		{"first empty, then not", "", "ani=&ani=6", "-"},

		{"JSON text", "application/json", `{"ani":"+15135550101"}`, annsNumber},
		{"a JSON number", "application/json", `{"ani":15135550101}`, "15135550101"},
		{"a number beyond a float's digits", "application/json", `{"ani":123456789012345678901}`, "123456789012345678901"},
		{"an exponent", "application/json", `{"ani":1e10}`, "1e10"},
		{"JSON null", "application/json", `{"ani":null}`, ""},
		{"empty text", "application/json", `{"ani":""}`, ""},
		{"escaped letters", "application/json", `{"\u0061ni":"\u002b1\"\\"}`, `+1"\`},
		{"half a surrogate", "application/json", `{"ani":"\ud800"}`, "\uFFFD"},
		{"no UTF-8", "application/json", "{\"ani\":\"\xff\"}", "\uFFFD"},
		{"another type of content", "text/plain", `{"ani":"5"}`, "5"},
		{"no type of content", "application/octet-stream", ` {"ani" : "5" } `, "5"},
		{"other members around it", "application/json", `{"a":{"ani":"1"},"b":[{"ani":"}"},"]"],"ani":"5","c":"\"}","d":-1.5e3,"e":true}`, "5"},
		{"a member in other letters is another", "application/json", `{"ANI":"6","ani":"5"}`, "5"},
		{"an object", "application/json", `{"ani":{"number":"5"}}`, "-"},
		{"an array", "application/json", `{"ani":["5"]}`, "-"},
		{"true", "application/json", `{"ani":true}`, "-"},
		{"a member that comes twice the same", "application/json", `{"ani":"5","ani":"5"}`, "5"},
		{"a member that comes twice and differs", "application/json", `{"ani":"5","ani":"6"}`, "-"},

		{"a form", form, "ani=%2B15135550101&x=;", annsNumber},
		{"a form with a character set", form + "; charset=utf-8", "x=1&ani=5", "5"},
		{"JSON that curl calls a form", form, ` {"ani":"5"}`, "5"},
	}
	w := newWorld(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := w.resolver.asked()
			r := request(t, http.MethodGet, w.public.URL+"/v1/lookup", "", "")
			if tt.contentType == "" {
				r.URL.RawQuery = tt.input
			} else {
				// The query of a POST says nothing.
				r = request(t, http.MethodPost, w.public.URL+"/v1/lookup?orgId=1&ani=999", tt.input, "")
				r.Header.Set("Content-Type", tt.contentType)
			}
			got := send(t, r)
			if got.status != http.StatusOK {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if tt.want == "-" {
				if asked := w.resolver.asked() - before; asked != 0 {
					t.Errorf("the resolver was asked %q", w.resolver.last(t).ANI)
				}
				if answer := got.json(t); answer["outcome"] != "invalid" || answer["reason"] != "malformed" || answer["source"] != "none" {
					t.Errorf("the answer is %v", answer)
				}
				return
			}
			if diff := cmp.Diff(tt.want, w.resolver.last(t).ANI); diff != "" {
				t.Errorf("the resolver was asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsOptionalIsLenient(t *testing.T) {
	type asked struct {
		Ticket int64
		Fresh  bool
		Lang   string
	}
	tests := []struct {
		name, json, query string
		want              asked
	}{
		{"all of them", `"ticket_id":"503","fresh":1,"lang":"it"`, "ticket_id=503&fresh=1&lang=it", asked{503, true, "it"}},
		{"numbers as texts and texts as numbers", `"ticket_id":503,"fresh":"1","lang":5`, "", asked{503, true, "5"}},
		{"a flag in a word", `"fresh":true`, "fresh=TRUE", asked{Fresh: true}},
		{"an id beyond a float's digits", `"ticket_id":9007199254740993`, "ticket_id=9007199254740993", asked{Ticket: 9007199254740993}},
		{"an id with an idle fraction", `"ticket_id":503.0`, "ticket_id=503.00", asked{Ticket: 503}},
		{"spaces around", `"ticket_id":" 503 ","lang":" it "`, "ticket_id=+503+&lang=%20it", asked{Ticket: 503, Lang: "it"}},
		{"empty", `"ticket_id":"","fresh":"","lang":""`, "ticket_id=&fresh=&lang=", asked{}},
		{"the word null", `"ticket_id":"null","fresh":"NULL","lang":"null"`, "ticket_id=null&fresh=Null&lang=null", asked{}},
		{"null", `"ticket_id":null,"fresh":null,"lang":null`, "", asked{}},
		{"negative", `"ticket_id":-1,"fresh":-1`, "ticket_id=-1&fresh=-1", asked{}},
		{"unreadable", `"ticket_id":{"a":1},"fresh":[1],"lang":{}`, "ticket_id=5x&fresh=x", asked{}},
		{"beyond any id", `"ticket_id":99999999999999999999`, "ticket_id=99999999999999999999", asked{}},
		{"a fraction", `"ticket_id":5.5,"fresh":1.5`, "ticket_id=5.5", asked{}},
		{"a flag that says no", `"fresh":0`, "fresh=0", asked{}},
		{"two values that differ", `"ticket_id":1,"ticket_id":2,"lang":"it","lang":"es"`, "ticket_id=1&ticket_id=2", asked{}},
	}
	for _, tt := range tests {
		read := func(p params) asked {
			return asked{p.whole(paramTicketID), p.flag(paramFresh), p.optional(paramLang)}
		}
		t.Run(tt.name, func(t *testing.T) {
			var fromJSON, fromQuery params
			if err := fromJSON.readJSON([]byte("{" + tt.json + "}")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, read(fromJSON)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
			if tt.query == "" {
				return
			}
			if fromQuery.readQuery(tt.query); true {
				if diff := cmp.Diff(tt.want, read(fromQuery)); diff != "" {
					t.Errorf("query (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	long := strings.Repeat("x", maxQuery)
	tests := []struct {
		name, method, query, body string
		status                    int
		detail                    string
	}{
		{"GET without the key", "GET", "", "", 400, `"ani"`},
		{"GET with other keys", "GET", "ANI=5&lang=en", "", 400, `"ani"`},
		{"POST without the key", "POST", "ani=5", `{"lang":"en"}`, 400, `"ani"`},
		{"an empty body", "POST", "", "", 400, "is empty"},
		{"broken JSON", "POST", "", `{"ani":"5"`, 400, "well-formed"},
		{"an unset variable in JSON", "POST", "", `{"ani":"5","ewt_ms":}`, 400, "well-formed"},
		{"something behind it", "POST", "", `{"ani":"5"} x`, 400, "well-formed"},
		{"two objects", "POST", "", `{"ani":"5"}{}`, 400, "well-formed"},
		{"an array", "POST", "", `["ani"]`, 400, "another JSON value"},
		{"a text", "POST", "", `"ani"`, 400, "another JSON value"},
		{"JSON of endless depth", "POST", "", strings.Repeat("[", maxBody), 400, "well-formed"},
		{"a body that is too long", "POST", "", `{"ani":"` + strings.Repeat("5", maxBody) + `"}`, 413, "65536 bytes"},
		{"a query that is too long", "GET", "ani=" + long, "", 414, "8192 bytes"},
		{"a query that is too long on a POST", "POST", "a=" + long, `{"ani":"5"}`, 414, "8192 bytes"},
	}
	w := newWorld(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := send(t, request(t, tt.method, w.public.URL+"/v1/lookup?"+tt.query, tt.body, ""))
			if detail := got.detail(t, tt.status); !strings.Contains(detail, tt.detail) {
				t.Errorf("detail %q", detail)
			}
		})
	}
	if w.resolver.asked() != 0 {
		t.Error("the resolver was asked")
	}
}

func TestTheLongestThatIsRead(t *testing.T) {
	w := newWorld(t, nil)
	query := "ani=" + strings.Repeat("5", maxQuery-4)
	if got := w.get(t, "/v1/lookup?"+query, ""); got.status != http.StatusOK || len(w.resolver.last(t).ANI) != maxQuery-4 {
		t.Errorf("a query of %d bytes: status %d", len(query), got.status)
	}
	body := `{"ani":"5","x":"` + strings.Repeat("x", maxBody-18) + `"}`
	if got := w.post(t, "/v1/lookup", body, ""); got.status != http.StatusOK || len(body) != maxBody {
		t.Errorf("a body of %d bytes: status %d", len(body), got.status)
	}
}

// TestABodyOfUnknownLengthIsBounded sends chunks, which announce no length.
func TestABodyOfUnknownLengthIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	r := request(t, http.MethodPost, w.public.URL+"/v1/lookup", "", "")
	r.Body, r.ContentLength = http.NoBody, -1
	r.Body = struct {
		*strings.Reader
		noClose
	}{strings.NewReader(`{"ani":"5"}` + strings.Repeat(" ", maxBody)), noClose{}}
	send(t, r).detail(t, http.StatusRequestEntityTooLarge)
}

type noClose struct{}

func (noClose) Close() error { return nil }

func TestRequestsAsTheyAreDescribed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.DemoAll = true })
	for _, r := range []*http.Request{
		request(t, http.MethodGet, w.admin.URL+"/v1/lookup?lang=en&fresh=1&ticket_id=5&ani="+url.QueryEscape(annsNumber), "", ""),
		request(t, http.MethodPost, w.admin.URL+"/v1/lookup", `{"ani":"+15135550101","lang":"en","ticket_id":5,"fresh":true}`, ""),
		request(t, http.MethodPost, w.admin.URL+"/v1/lookup", `{"ani":15135550101,"interaction_id":"x"}`, ""),
		request(t, http.MethodGet, w.admin.URL+"/v1/users?ani=5", "", ""),
		request(t, http.MethodGet, w.admin.URL+"/v1/users/9007199254740993", "", ""),
		request(t, http.MethodGet, w.admin.URL+"/v1/users/9007199254740993/tickets", "", ""),
		request(t, http.MethodGet, w.admin.URL+"/v1/stats", "", ""),
		request(t, http.MethodPost, w.admin.URL+"/v1/admin/resync", `{"mode":"full"}`, ""),
		request(t, http.MethodGet, w.admin.URL+"/v1/admin/sync", "", ""),
	} {
		if r.Method == http.MethodPost {
			r.Header.Set("Content-Type", "application/json")
		}
		holdRequest(t, r.Clone(t.Context()))
		if r.GetBody != nil {
			r.Body, _ = r.GetBody()
		}
		if got := send(t, r); got.status >= http.StatusMultipleChoices {
			t.Errorf("%s %s: status %d: %s", r.Method, r.URL.Path, got.status, got.body)
		}
	}
}
