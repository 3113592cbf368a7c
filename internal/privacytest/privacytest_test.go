package privacytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	name    = "Rósa Whitlock"
	email   = "rosa.w@example.com"
	subject = "Refund for the garden umbrella"
	body    = "asked twice to be called back"
)

// watching knows one person of North America and one of Germany.
func watching() *Watch {
	w := New()
	w.Person(name, email, "(555) 223-4567")
	w.Person("Jan Ö. Kröger", "", "+49 (0)30 23125 017", "call mobile", "0000000000")
	w.Person("number one", "")
	w.Texts(subject, body, "x", "two lines")
	return w
}

// logged is a line of slog's.
func logged(json bool, value any) string {
	var b bytes.Buffer
	o := &slog.HandlerOptions{Level: slog.LevelDebug}
	var h slog.Handler = slog.NewTextHandler(&b, o)
	if json {
		h = slog.NewJSONHandler(&b, o)
	}
	slog.New(h).Debug("said", slog.Any("value", value))
	return b.String()
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestEverybodyIsFoundHoweverTheyAreWritten(t *testing.T) {
	const e164 = "+15552234567"
	_, notURL := url.Parse(fmt.Sprintf("http://[%s", e164))
	notJSON := json.Unmarshal([]byte(`{"phone":"`+e164+`"}`), &struct{ Phone json.Number }{})
	_, notNumber := strconv.ParseInt(e164+" ", 10, 64)
	_, notTime := time.Parse(time.RFC3339, e164)
	tests := []struct{ name, kinds, line string }{
		{"E.164", "number", e164},
		{"at home", "number", "caller 5552234567 not found"},
		{"with dashes", "number", "1-555-223-4567"},
		{"with dots", "number", "555.223.4567"},
		{"with brackets", "number", "(555) 223-4567"},
		{"with the code and brackets", "number", "+1 (555) 223‑4567"},
		{"with spaces that do not break", "number", "+1\u00a0555\u00a0223\u00a04567"},
		{"from abroad", "number", "0049 30 23125017"},
		{"from America", "number", "011493023125017"},
		{"with the nought of its country", "number", "030/23125017"},
		{"with a nought in brackets", "number", "+49 (0)30 23125 017"},
		{"as a URI", "number", "tel:+1-555-223-4567"},
		{"as a SIP address", "number", "sip:+15552234567@carrier.example;user=phone"},
		{"in a query", "number", "GET /v1/lookup?ani=%2B15552234567&lang=en"},
		{"in a query that was escaped twice", "number", "ani=%252B15552234567"},
		{"in a query, in parts", "number", "ani=%28555%29%20223-4567"},
		{"with an extension", "number", "555.223.4567 x42"},
		{"with letters around it", "number", "key_n5552234567_v2"},
		{"in digits of another script", "number", "５５５２２３４５６７"},
		{"in JSON", "number", `{"ani":"+15552234567"}`},
		{"a number in JSON", "number", `{"ani":15552234567}`},
		{"in JSON, escaped", "number", `{"ani":"\u002b1\u00a0555\u00a0223\u00a04567"}`},
		{"in an attribute", "number", logged(false, e164)},
		{"in an attribute that is quoted", "number", logged(false, "call from "+e164+"\n")},
		{"in JSON in an attribute", "number", logged(true, asJSON(map[string]string{"ani": "\t" + e164}))},
		{"in an error", "number", logged(false, fmt.Errorf("lookup: %w", errors.New("no "+e164)))},
		{"in an error of url", "number", notURL.Error()},
		{"in an error of http", "number", (&url.Error{Op: "Get", URL: "http://h/search?query=phone%3A%2B15552234567", Err: errors.New("EOF")}).Error()},
		{"in an error of json", "number", notJSON.Error()},
		{"in an error of strconv", "number", notNumber.Error()},
		{"in an error of time", "number", notTime.Error()},
		{"as a word of a stack", "number", fmt.Sprintf("walk(0xc000123400, {0x%x, 0x2})", uint64(15552234567))},
		{"among other digits", "number", "ids 12 15552234567 9"},
		{"a name", "name", "user Rósa Whitlock"},
		{"a name in small letters", "name", "rósa whitlock"},
		{"a name the other way round", "name", "Whitlock, Rósa"},
		{"a name in a query", "name", "?name=R%C3%B3sa%20Whitlock"},
		{"a name in a query, with a plus", "name", "?name=R%C3%B3sa+Whitlock"},
		{"a name in Go's quotes", "name", fmt.Sprintf("%q", []string{name})},
		{"a name in Go's quotes, in ASCII", "name", fmt.Sprintf("%+q", name)},
		{"a name in a value's Go syntax", "name", fmt.Sprintf("%#v", struct{ Name string }{name})},
		{"a name with a dot in it", "name", "rósa.whitlock"},
		{"a first name alone", "name", "Hello Rósa, how are you?"},
		{"a surname alone", "name", "Mrs Whitlock"},
		{"a name of three parts", "name", "jan ö. kröger"},
		{"an address", "e-mail", "to rosa.w@example.com."},
		{"an address in capitals", "e-mail", "ROSA.W@EXAMPLE.COM"},
		{"an address in a query", "e-mail", "email=rosa.w%40example.com&x=1"},
		{"an address in brackets", "e-mail", "<rosa.w@example.com>"},
		{"a subject", "text", "ticket Refund for the garden umbrella"},
		{"a subject in capitals", "text", "REFUND FOR THE GARDEN UMBRELLA"},
		{"a subject that was cut", "text", fmt.Sprintf("%.22q", subject)},
		{"a subject in a query", "text", url.QueryEscape(subject)},
		{"a comment in JSON in JSON", "text", asJSON(asJSON(map[string]string{"body": body}))},
		{"all of them", "number, name, e-mail, text", strings.Join([]string{e164, name, email, subject}, "|")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := watching()
			w.Keep("here", "a line before\n"+tt.line)
			found := w.Findings()
			if len(found) != 1 || found[0].Source != "here" || found[0].Line < 2 {
				t.Fatalf("found %v in %s", found, tt.line)
			}
			for k := range strings.SplitSeq(tt.kinds, ", ") {
				if !strings.Contains(found[0].Kinds, k) {
					t.Errorf("found a %s in %s, want a %s", found[0].Kinds, tt.line, k)
				}
			}
			again := watching()
			again.Keep("the finding", found[0].String())
			if more := again.Findings(); len(more) != 0 {
				t.Errorf("the finding itself tells of a %s: %s", more[0].Kinds, found[0])
			}
		})
	}
}

func TestWhatIsNobodysIsPassedOver(t *testing.T) {
	tests := []struct{ name, line string }{
		{"a time", "time=2026-11-24T15:55:52.234+01:00 level=INFO"},
		{"a duration of the same digits", "took=555.2234567ms took=5.552234567s"},
		{"a metric's value", "aniproxy_lookup_seconds_sum 1.5552234567"},
		{"an id", "user=1500000000123 ticket=35436"},
		{"another number", "+15552234568"},
		{"the number with a digit more", "155522345671"},
		{"an address of the network", "http: TLS handshake error from 127.0.0.1:55522: EOF"},
		{"a hash", "c0ffee555223456a 0x5552234"},
		{"a word that is somebody's name in small letters", "number=5"},
		{"a masked number", "+15*******67"},
		{"what is no number", "call mobile 0000000000"},
		{"half a name", "a rosary from whitlockshire"},
		{"another address", "rosa@example.com"},
		{"words of a subject", "no refund for this"},
		{"texts that could be anybody's", "x, and two lines of it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := watching()
			w.Keep("here", tt.line)
			if found := w.Findings(); len(found) != 0 {
				t.Errorf("found %v in %s", found, tt.line)
			}
		})
	}
}

// tests is a package's tests that end with a code.
type tests int

func (code tests) Run() int { return int(code) }

func TestARunInWhichSomebodyIsFoundHasFailed(t *testing.T) {
	for _, tt := range []struct {
		name       string
		line       string
		code, want int
	}{
		{"nobody", "a line", 0, 0},
		{"nobody, and the tests failed", "a line", 2, 2},
		{"somebody", "a line of Rósa Whitlock", 0, 1},
		{"somebody, and the tests failed", "a line of Rósa Whitlock", 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := watching()
			sink := w.Sink("TestOfSomething, the log")
			fmt.Fprintln(sink, tt.line)
			fmt.Fprintln(sink, tt.line) // the same is told once
			var out bytes.Buffer
			if code := (&around{Runner: tests(tt.code), watch: w, out: &out}).Run(); code != tt.want {
				t.Errorf("code %d, want %d", code, tt.want)
			}
			if said := out.String(); strings.Contains(said, "Whitlock") || (said != "") != strings.Contains(tt.line, "Rósa") {
				t.Errorf("it says %q", said)
			}
		})
	}
}

func TestWhatHasNoEndIsKeptInBoundedRoom(t *testing.T) {
	w := watching()
	w.fuzzing = true
	sink := w.Sink("a fuzz target")
	line := []byte(strings.Repeat("x", 1000) + "\n")
	for range 5000 {
		sink.Write(line)
		w.Keep("an answer", string(line))
	}
	fmt.Fprintln(sink, email)
	if _, size := w.Size(); size > whileFuzzing {
		t.Errorf("%d bytes are kept", size)
	}
	if found := w.Findings(); len(found) != 1 {
		t.Errorf("found %v in what came last", found)
	}
}

func TestManyFindingsAreCounted(t *testing.T) {
	w := watching()
	for i := range findingsShown + 5 {
		w.Keep(fmt.Sprintf("source %d", i), subject)
	}
	var out bytes.Buffer
	(&around{Runner: tests(0), watch: w, out: &out}).Run()
	if said := out.String(); !strings.Contains(said, "in 35 places") || !strings.Contains(said, "and 5 more") {
		t.Errorf("it says %s", said)
	}
}

// BenchmarkFindings reads a log of requests for three thousand people.
func BenchmarkFindings(b *testing.B) {
	w := New()
	for i := range 3000 {
		w.Person(fmt.Sprintf("Anna%c Berg%c", 'a'+i%26, 'a'+i/26%26), fmt.Sprintf("a%d@example.com", i), fmt.Sprintf("+1513555%04d", i))
	}
	line := "time=2026-11-24T15:55:52.234+01:00 level=INFO msg=request method=POST route=/v1/lookup status=200 took=123.456µs request_id=QJ3X5VTOBK2MZJY7TQAM4PZHVE client=flow outcome=found source=memory\n"
	w.Keep("log", strings.Repeat(line, 10_000))
	b.SetBytes(int64(10_000 * len(line)))
	for b.Loop() {
		if len(w.Findings()) > 0 {
			b.Fatal("found somebody")
		}
	}
}
