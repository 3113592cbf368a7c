package proxy

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// wholeAnswer fails unless the answer is a lookup's with every key, or a
// problem of one of those that a request's form can cause.
func wholeAnswer(t *testing.T, answer *httptest.ResponseRecorder) {
	t.Helper()
	body := answer.Body.Bytes()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if answer.Code != http.StatusOK {
		if answer.Code != http.StatusBadRequest && answer.Code != http.StatusRequestEntityTooLarge && answer.Code != http.StatusRequestURITooLong {
			t.Errorf("status %d: %s", answer.Code, body)
		}
		return
	}
	if len(m) != len(fieldNames) {
		t.Errorf("%d keys: %s", len(m), body)
	}
	for _, name := range fieldNames {
		switch v := m[name].(type) {
		case string:
			limit := maxText
			if name == "spoken_ssml" {
				limit = maxSSML
			}
			if v == "" || utf8.RuneCountInString(v) > limit {
				t.Errorf("%s has %d characters", name, utf8.RuneCountInString(v))
			}
		case float64:
			if v < 0 {
				t.Errorf("%s is %v", name, v)
			}
		default:
			t.Errorf("%s is %v", name, v)
		}
	}
}

func FuzzLookupBody(f *testing.F) {
	for _, body := range []string{
		`{"ani":"+15135550101"}`, `{"ani":5,"ticket_id":9007199254740993,"fresh":true,"lang":"es-MX"}`, `{"ani":null}`, `{"ani":{}}`,
		`{"\u0061ni":"\ud800","a":[{"b":"\""}]}`, `{"ani":"a","ani":"b"}`, `[]`, `{"ani":`, "{\"ani\":\"\xff\"}", `ani=5&x=%2`, ` { } `,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	w := newWorld(f, func(o *Options) { o.DemoAll = true })
	f.Fuzz(func(t *testing.T, body []byte, form bool) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/v1/lookup", strings.NewReader(string(body)))
		r.RemoteAddr = "127.0.0.1:1"
		if form {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		answer := httptest.NewRecorder()
		w.Public().ServeHTTP(answer, r)
		wholeAnswer(t, answer)
	})
}

// FuzzJSON compares our walk through an object with encoding/json's.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{`{"ani":"x\n\u00e9","lang":["\\]"],"fresh":{"a":"}"},"mode":1e5,"ticket_id":false}`, `{}`, `{"":0}`, "\t{\"ani\" :\r\n[ ] }"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p params
		err := p.readJSON(body)
		var members map[string]json.RawMessage
		if reference := json.Unmarshal(body, &members); err == nil != (reference == nil && members != nil) {
			t.Fatalf("ours says %v, encoding/json %v", err, reference)
		}
		if err != nil {
			return
		}
		for name, raw := range members {
			at, ok := paramOf(name)
			if !ok {
				continue
			}
			switch v := p[at]; v.kind {
			case text:
				var want string
				if json.Unmarshal(raw, &want) != nil || v.text != want {
					t.Errorf("%s is %q, want %q", name, v.text, want)
				}
			case numeral, boolean:
				if v.text != string(raw) {
					t.Errorf("%s is %q, want %q", name, v.text, raw)
				}
			case null:
				if string(raw) != "null" {
					t.Errorf("%s is null, want %q", name, raw)
				}
			case unreadable: // an object, an array, or two values
			default:
				t.Errorf("%s was not found", name)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, query := range []string{"ani=%2B1513", "ani=tel:+1;ext=2", "ani=%2", "ani", "a&&=&ani=%zz+&ani=5", "%61ni=%ff", "ani=1&lang=x&ticket_id=-1&fresh=1"} {
		f.Add(query)
	}
	w := newWorld(f, func(o *Options) { o.DemoAll = true })
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/lookup", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.URL.RawQuery = query
		answer := httptest.NewRecorder()
		w.Public().ServeHTTP(answer, r)
		wholeAnswer(t, answer)
		// Where Go's parser has no objection, the two agree.
		values, err := url.ParseQuery(query)
		if err != nil || len(values["ani"]) != 1 {
			return
		}
		var p params
		p.readQuery(query)
		if got, ok := p.number(); !ok || got != values.Get("ani") {
			t.Errorf("%q, %v, want %q", got, ok, values.Get("ani"))
		}
	})
}

// FuzzClean holds the two spellings of a text against each other.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "Ann", " a\x00b ", "\"\\", "\xff\u202E\u2028é", strings.Repeat("𝔘", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var decoded string
		if err := json.Unmarshal(append(appendClean([]byte{'"'}, s, maxText), '"'), &decoded); err != nil {
			t.Fatal(err)
		}
		if plain := clean(s, maxText); plain != decoded {
			t.Errorf("%q and %q", plain, decoded)
		}
		if n := utf8.RuneCountInString(decoded); n > maxText {
			t.Errorf("%d characters", n)
		}
		if strings.ContainsFunc(decoded, func(r rune) bool { c, keep := cleanRune(r); return !keep || c != r }) {
			t.Errorf("%q is not clean", decoded)
		}
	})
}
