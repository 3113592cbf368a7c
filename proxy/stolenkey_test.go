package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAStolenLookupKeyGivesTheLeast asks every route of both sides with the key
// that a flow has, about everybody there is.
func TestAStolenLookupKeyGivesTheLeast(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		withClients(o)
		withSecrets(o)
		o.Clients = append(o.Clients, newClient("stolen", "lookup"))
	})
	// Of Ann only the fields that a call needs; of those who share a number nobody.
	private := []string{
		"ann@example.org", "vip", "gold", "Printer on fire", "Toner", "Paper", "\"Ink", `"fire"`, "fire,printer",
		"Carla", "carla@", "hush", "Confidential", "Iris", "iris@", "Dario", "Classified", "601", "602",
	}
	seen := map[string]int{}
	hold := func(name string, got *reply) {
		t.Helper()
		for _, words := range private {
			if strings.Contains(string(got.body), words) || strings.Contains(fmt.Sprint(got.header), words) {
				t.Errorf("%s tells %s", name, words)
			}
		}
		for _, key := range []string{`"organization_id":"77"`, `"organization_id":77`, `"organization_id":"99"`} {
			if strings.Contains(string(got.body), key) {
				t.Errorf("%s tells an organisation", name)
			}
		}
	}
	for side, base := range map[string]string{"public": w.public.URL, "admin": w.admin.URL} {
		for _, r := range w.routes() {
			name := side + " " + r.method + " " + r.path
			if r.path == "/openapi.yaml" { // the same for everybody
				continue
			}
			for _, number := range []string{annsNumber, sharedNumber} {
				for _, id := range []string{annsID, "21", "503", "601"} {
					path, body, ticket := strings.Replace(r.path, "{id}", id, 1), "", id
					if id == "601" { // a sharer's own, keyed in, opens it to every flow: guesses are counted
						ticket = "999"
					}
					switch query := url.QueryEscape("type:user " + number); {
					case r.method != http.MethodGet:
						body = fmt.Sprintf(`{"ani":%q,"ticket_id":%q,"body":"x","fresh":1}`, number, ticket)
					case strings.Contains(r.path, "search"):
						path += "?query=" + query
					default:
						path += "?fresh=1&ticket_id=" + ticket + "&ani=" + url.QueryEscape(number)
					}
					ask := request(t, r.method, base+path, body, "stolen")
					ask.Header.Set("Content-Type", jsonType)
					got := send(t, ask)
					hold(name, got)
					switch refused := got.status >= 400 && got.status < 500; {
					case r.scope == ScopeLookup && got.status == http.StatusOK && number == annsNumber && strings.Contains(string(got.body), "Ann Lee"):
						seen[r.method+" "+r.path]++
					case r.scope != ScopeLookup && r.scope != Open && !refused:
						t.Errorf("%s answers %d", name, got.status)
					case strings.Contains(string(got.body), "Ann"):
						t.Errorf("%s answers %s", name, got.body)
					}
				}
			}
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"GET /v1/lookup", "GET /v1/users", "POST /v1/lookup"}, names); diff != "" {
		t.Errorf("the routes that tell of Ann at all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ticket 501", "ticket 502", "ticket 503", "user " + annsID}, w.shelf.tellings("stolen")); diff != "" {
		t.Errorf("it was told of (-want +got):\n%s", diff)
	}
	if len(w.shelf.all()) != 0 || len(w.eraser.erased) != 0 || len(w.mirror.requests) != 0 || w.resolver.purged.Load() != 0 {
		t.Error("it has changed something")
	}
}
