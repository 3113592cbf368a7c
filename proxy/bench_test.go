package proxy

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"golang.org/x/time/rate"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// known is a Resolver that costs nothing.
type known struct{ answer caller.Answer }

func (k *known) Lookup(_ context.Context, _ caller.Query) caller.Answer { return k.answer }
func (k *known) Explain(_ context.Context, _ caller.Query) caller.Explanation {
	return caller.Explanation{Answer: k.answer}
}
func (k *known) Stats() status.Cache { return status.Cache{} }
func (k *known) Purge()              {}

func BenchmarkEncode(b *testing.B) {
	w := newWorld(b, nil)
	v := w.view(caller.Answer{Outcome: caller.Found, ANI: annsNumber, Callers: []caller.Caller{ann()}, Source: caller.FromMemory}, 0, "")
	out := appendLookup(nil, &v, allFields())
	b.Run("appendLookup", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(out)))
		for b.Loop() {
			out = appendLookup(out[:0], &v, allFields())
		}
	})
	var flat map[string]any
	if err := json.Unmarshal(out, &flat); err != nil {
		b.Fatal(err)
	}
	b.Run("encoding/json of the same", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(flat); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// nowhere is written to at a log's full cost, unlike slog's own DiscardHandler.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// discard is a ResponseWriter that keeps its header.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkLookup is a lookup within the process, from Echo's router to the
// last byte, without sockets and with a resolver that costs nothing.
func BenchmarkLookup(b *testing.B) {
	answer := caller.Answer{Outcome: caller.Found, ANI: annsNumber, Callers: []caller.Caller{ann()}, Source: caller.FromMemory}
	for _, bc := range []struct {
		name   string
		change func(*Options)
	}{
		{"with a key and a log", func(o *Options) { withClients(o); o.Logger = slog.New(slog.NewJSONHandler(nowhere{}, nil)) }},
		{"with a key", func(o *Options) { withClients(o); o.Logger = slog.New(slog.DiscardHandler) }},
		{"on this machine", func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			w := newWorld(b, func(o *Options) { o.Resolver = &known{answer}; bc.change(o) })
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/v1/lookup?lang=en-US&ani="+url.QueryEscape(annsNumber), nil)
			r.RemoteAddr = "127.0.0.1:1"
			if len(w.clients.Load().all) > 0 {
				for _, c := range w.clients.Load().all {
					c.requests.SetLimit(rate.Inf) // the clock stands still here
				}
				r.SetBasicAuth("lookup", secretOf("lookup"))
			}
			out := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				w.Public().ServeHTTP(out, r)
			}
			if out.status != http.StatusOK {
				b.Errorf("what was measured is status %d", out.status)
			}
		})
	}
}

// BenchmarkAuthenticate finds whose key it is among seven clients.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b, withClients)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/v1/lookup", nil)
	r.SetBasicAuth("lookup", secretOf("lookup"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.authenticate(r, false); err != nil {
			b.Fatal(err)
		}
	}
}
