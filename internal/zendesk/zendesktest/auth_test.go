package zendesktest

import (
	"fmt"
	"testing"
	"time"
)

func (d *desk) mint(body string) answer {
	d.t.Helper()
	auth := d.auth
	d.auth = ""
	defer func() { d.auth = auth }()
	return d.do("POST", "/oauth/tokens", body, "Content-Type", "application/json")
}

func clientCredentials(more string) string {
	return fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q%s}`, DefaultClientID, DefaultClientSecret, more)
}

func TestOAuthTokensExpire(t *testing.T) {
	d := newDesk(t, Options{})
	for _, c := range []struct {
		name, more string
		life       time.Duration
	}{
		{"half an hour by default", "", 30 * time.Minute},
		{"as long as asked for", `,"expires_in":300,"scope":"read"`, 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := d.mint(clientCredentials(c.more))
			token, _ := a.JSON["access_token"].(string)
			if a.Status != 200 || token == "" || a.JSON["token_type"] != "bearer" || a.JSON["expires_in"] != c.life.Seconds() {
				t.Fatalf("mint: %d %s", a.Status, a.Body)
			}
			d.auth = "Bearer " + token
			d.clock.advance(c.life - time.Second)
			d.ok("/api/v2/brands.json")
			d.clock.advance(time.Second)
			if a := d.get("/api/v2/brands.json"); a.Status != 401 || a.JSON["error"] != "Couldn't authenticate you" {
				t.Errorf("after its life: %d %s", a.Status, a.Body)
			}
			if a := d.get("/api/v2/users/me.json"); a.Status != 401 {
				t.Errorf("users/me with a dead token: status %d", a.Status)
			}
		})
	}
	a := d.mint(clientCredentials(""))
	d.auth = fmt.Sprint("Bearer ", a.JSON["access_token"])
	d.ok("/api/v2/brands.json")
	d.RevokeTokens()
	if a := d.get("/api/v2/brands.json"); a.Status != 401 {
		t.Errorf("a revoked token: status %d", a.Status)
	}
}

func TestOAuthRefusals(t *testing.T) {
	d := newDesk(t, Options{})
	for name, c := range map[string]struct {
		body, word string
		status     int
	}{
		"another grant":    {`{"grant_type":"password"}`, "unsupported_grant_type", 400},
		"a wrong secret":   {`{"grant_type":"client_credentials","client_id":"sim-client","client_secret":"no"}`, "invalid_client", 401},
		"too short a life": {clientCredentials(`,"expires_in":299`), "invalid_request", 400},
		"too long a life":  {clientCredentials(`,"expires_in":172801`), "invalid_request", 400},
		"what is not JSON": {`{`, "invalid_request", 400},
	} {
		if a := d.mint(c.body); a.Status != c.status || a.JSON["error"] != c.word {
			t.Errorf("%s: %d %s, want %d %s", name, a.Status, a.Body, c.status, c.word)
		}
	}
	form := "grant_type=client_credentials&client_id=" + DefaultClientID + "&client_secret=" + DefaultClientSecret + "&expires_in=600"
	if a := d.do("POST", "/oauth/tokens", form, "Content-Type", "application/x-www-form-urlencoded"); a.Status != 200 {
		t.Errorf("as a form: %d %s", a.Status, a.Body)
	}
}

func TestScopes(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	d.ticket(TicketSpec{Requester: user})
	const put = `{"ticket":{"comment":{"body":"x","public":false}}}`
	for _, c := range []struct {
		scope                        string
		users, tickets, search, save int
	}{
		{"read write", 200, 200, 200, 200},
		{"read", 200, 200, 200, 403},
		{"users:read", 200, 403, 403, 403},
		{"tickets:read tickets:write", 403, 200, 403, 200},
		{"write", 403, 403, 403, 200},
		{"nonsense", 403, 403, 403, 403},
	} {
		d.auth = fmt.Sprint("Bearer ", d.mint(clientCredentials(`,"scope":"` + c.scope + `"`)).JSON["access_token"])
		for what, got := range map[string][2]int{
			"users export":   {d.get("/api/v2/incremental/users/cursor.json", "start_time", "0").Status, c.users},
			"tickets export": {d.get("/api/v2/incremental/tickets/cursor.json", "start_time", "0").Status, c.tickets},
			"search":         {d.get("/api/v2/search.json", "query", "x").Status, c.search},
			"update":         {d.do("PUT", "/api/v2/tickets/1.json", put).Status, c.save},
		} {
			if got[0] != got[1] {
				t.Errorf("scope %q, %s: status %d, want %d", c.scope, what, got[0], got[1])
			}
		}
	}
	d.auth = fmt.Sprint("Bearer ", d.mint(clientCredentials(`,"scope":"write"`)).JSON["access_token"])
	if a := d.get("/api/v2/users/search.json", "query", "x"); a.JSON["description"] != "Missing the following required scopes: read" {
		t.Errorf("the refusal says %s", a.Body)
	}
}

func TestBasicCredentials(t *testing.T) {
	d := newDesk(t, Options{Users: 10})
	agent := ""
	for u := range d.Truth().Users() {
		if u.Role == "agent" {
			agent = u.Email
		}
	}
	for _, c := range []struct {
		name, auth    string
		me            int
		anonymous     bool
		brands, admin int
	}{
		{"the owner's token", DefaultEmail + "/token:" + DefaultAPIToken, 200, false, 200, 200},
		{"the token with an agent's address", agent + "/token:" + DefaultAPIToken, 200, false, 200, 403},
		{"the owner's password", DefaultEmail + ":" + DefaultPassword, 200, false, 200, 200},
		{"nothing", "", 200, true, 401, 401},
		{"a wrong password", DefaultEmail + ":wrong", 200, true, 401, 401},
		{"a wrong token", DefaultEmail + "/token:wrong", 401, false, 401, 401},
		{"a token of nobody", "nobody@example.com/token:" + DefaultAPIToken, 401, false, 401, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.auth = c.auth
			me := d.get("/api/v2/users/me.json")
			if me.Status != c.me {
				t.Errorf("users/me: status %d, want %d", me.Status, c.me)
			}
			if anonymous := me.object("user")["name"] == "Anonymous user" && me.object("user")["id"] == nil; anonymous != c.anonymous {
				t.Errorf("users/me is anonymous: %v, want %v", anonymous, c.anonymous)
			}
			if a := d.get("/api/v2/brands.json"); a.Status != c.brands {
				t.Errorf("brands: status %d, want %d", a.Status, c.brands)
			}
			a := d.get("/api/v2/incremental/users/cursor.json", "start_time", "0")
			if a.Status != c.admin {
				t.Errorf("an export: status %d, want %d", a.Status, c.admin)
			}
			if a.Status == 403 && a.object("error")["title"] != "Forbidden" {
				t.Errorf("the refusal of an agent: %s", a.Body)
			}
		})
	}
}

func TestUnknownEndpoints(t *testing.T) {
	d := newDesk(t, Options{})
	for _, target := range []string{"/api/v2/nothing.json", "/", "/api/v2/users/1/2/3/4"} {
		if a := d.get(target); a.Status != 404 || a.JSON["error"] != "InvalidEndpoint" {
			t.Errorf("%s: %d %s", target, a.Status, a.Body)
		}
	}
	for _, target := range []string{"/api/v2/users/123.json", "/api/v2/tickets/99999"} {
		if a := d.get(target); a.Status != 404 || a.JSON["error"] != "RecordNotFound" {
			t.Errorf("%s: %d %s", target, a.Status, a.Body)
		}
	}
	if a := d.get("/api/v2/users/abc"); a.Status != 400 {
		t.Errorf("an id that is no number: status %d", a.Status)
	}
}
