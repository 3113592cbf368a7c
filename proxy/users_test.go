package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsersByNumber(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		narrow := newClient("narrow", "lookup")
		narrow.Fields = []string{"user_id", "ticket2_status", "match_count"}
		o.Clients = []Client{newClient("usual", "lookup"), narrow, newClient("directory", "lookup", "directory")}
	})
	tests := []struct {
		name, client, number string
		want                 string
	}{
		{
			"what a lookup would show", "usual", annsNumber,
			`{"ani":"+15135550101","outcome":"found","reason":"none","match":"unique","match_count":1,"source":"memory","age_seconds":90,"stale":false,"users":[
			{"id":"9007199254740993","name":"Ann Lee","locale":"es-MX","url":"https://acme.zendesk.com/agent/users/9007199254740993","unresolved_count":4,"tickets":[
			{"id":"503","status":"open","priority":"urgent","type":"incident","url":"https://acme.zendesk.com/agent/tickets/503","created_at":"2026-03-04T05:04:27Z","updated_at":"2026-03-04T05:05:17Z",
			"assignee":{"id":"40","name":"Maria Lopez","email":"Maria@example.com","agent":"maria@contact.example"}},
			{"id":"502","status":"pending"},{"id":"501","status":"new"}]}]}`,
		},
		{
			"a client's own fields", "narrow", annsNumber,
			`{"match_count":1,"age_seconds":0,"stale":false,"users":[{"id":"9007199254740993","unresolved_count":0,"tickets":[{},{"status":"pending"},{}]}]}`,
		},
		{
			"nobody of several", "usual", sharedNumber,
			`{"ani":"+15135550103","outcome":"ambiguous","reason":"shared_number","match":"ambiguous","match_count":2,"source":"disk","age_seconds":0,"stale":true,"users":[]}`,
		},
		{
			"every sharer for the directory", "directory", sharedNumber,
			`{"ani":"+15135550103","outcome":"ambiguous","reason":"shared_number","match":"ambiguous","match_count":2,"source":"disk","age_seconds":0,"stale":true,"users":[
			{"id":"21","name":"Carla Secret","email":"carla@example.org","locale":"it","tags":["hush"],"organization_id":"99","url":"https://acme.zendesk.com/agent/users/21","unresolved_count":1,"tickets":[
			{"id":"601","status":"open","priority":"high","subject":"Confidential","url":"https://acme.zendesk.com/agent/tickets/601","created_at":"2026-03-04T05:05:47Z","updated_at":"2026-03-04T05:05:47Z",
			"assignee":{"id":"43","name":"Iris Hidden","email":"iris@example.com","agent":"iris@example.com"}}]},
			{"id":"22","name":"Dario Private","url":"https://acme.zendesk.com/agent/users/22","unresolved_count":1,"tickets":[
			{"id":"602","status":"pending","subject":"Classified","url":"https://acme.zendesk.com/agent/tickets/602","created_at":"2026-03-04T05:05:37Z","updated_at":"2026-03-04T05:05:37Z"}]}]}`,
		},
		{
			"nobody", "usual", nobodys,
			`{"ani":"+15135550104","outcome":"not_found","reason":"no_user","match":"none","match_count":0,"source":"disk","age_seconds":61,"stale":false,"users":[]}`,
		},
		{
			"no caller id", "directory", "",
			`{"outcome":"anonymous","reason":"empty","match":"none","match_count":0,"source":"none","age_seconds":0,"stale":false,"users":[]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := w.get(t, "/v1/users?ani="+url.QueryEscape(tt.number), tt.client)
			want := strings.NewReplacer("\n", "", "\t", "").Replace(tt.want)
			if diff := cmp.Diff(want, string(got.body)); diff != "" || got.status != http.StatusOK {
				t.Errorf("status %d (-want +got):\n%s", got.status, diff)
			}
			if q := w.resolver.last(t); q.WithTickets != (tt.client == "directory") {
				t.Errorf("asked %+v", q)
			}
		})
	}
	if detail := w.get(t, "/v1/users", "usual").detail(t, http.StatusBadRequest); !strings.Contains(detail, `"ani"`) {
		t.Error(detail)
	}
}

func TestUsersByID(t *testing.T) {
	w := newWorld(t, withClients)
	got := w.get(t, "/v1/users/9007199254740993", "directory").json(t)
	if got["name"] != "Ann Lee" || got["email"] != "ann@example.org" || got["role"] != "end-user" || got["created_at"] == nil || got["tickets"] != nil {
		t.Errorf("the user is %v", got)
	}
	tickets := w.get(t, "/v1/users/%39007199254740993/tickets", "directory").json(t)
	var ids []any
	list, _ := tickets["tickets"].([]any)
	for _, ticket := range list {
		fields, _ := ticket.(map[string]any)
		ids = append(ids, fields["id"])
	}
	if diff := cmp.Diff([]any{"503", "502", "501", "500"}, ids); diff != "" || tickets["user_id"] != "9007199254740993" {
		t.Errorf("the tickets of %v (-want +got):\n%s", tickets["user_id"], diff)
	}
	for path, status := range map[string]int{
		"/v1/users/14": 404, "/v1/users/14/tickets": 404,
		"/v1/users/13": 404, // deleted in Zendesk
		"/v1/users/x":  400, "/v1/users/0": 400, "/v1/users/-5/tickets": 400, "/v1/users/%25zz": 400,
		"/v1/users/99999999999999999999": 400,
	} {
		w.get(t, path, "directory").detail(t, status)
	}
	w.directory.err = errors.New("disk on fire")
	for _, path := range []string{"/v1/users/5", "/v1/users/5/tickets"} {
		if detail := w.get(t, path, "directory").detail(t, http.StatusInternalServerError); strings.Contains(detail, "disk") {
			t.Errorf("%s tells %s", path, detail)
		}
	}
	if log := w.logged(); strings.Count(log, "disk on fire") != 2 {
		t.Errorf("two faults are not two lines: %s", log)
	}
}

func TestUsersAreMadeFitToo(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.DemoAll = true })
	body := string(w.get(t, "/v1/users?ani="+url.QueryEscape(oddNumber), "").body)
	if strings.Contains(body, `\u0000`) || strings.Contains(body, `\n`) || strings.Contains(body, "\u202E") || strings.Contains(body, `\u202e`) {
		t.Errorf("the answer is %s", body)
	}
}
