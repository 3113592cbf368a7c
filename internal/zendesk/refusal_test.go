package zendesk

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestRefusalsOfEveryForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		class  Class
		code   string
		says   string // what the description holds
		fields []string
	}{
		{"code and description", 404, `{"error":"RecordNotFound","description":"Not found"}`, ClassNotFound, "RecordNotFound", "Not found", nil},
		{"title and message", 403, `{"error":{"title":"Forbidden","message":"Access is restricted."}}`, ClassForbidden, "Forbidden", "Access is restricted.", nil},
		{"a title that is no code", 400, `{"error":{"title":"Invalid attribute","message":"page must be an integer"}}`, ClassRejected, "", "Invalid attribute: page must be", nil},
		{"a list", 400, `{"errors":[{"code":"InvalidPaginationDepth","title":"Too deep","detail":"page 101"}]}`, ClassRejected, "InvalidPaginationDepth", "Too deep: page 101", nil},
		{"a sentence alone", 401, `{"error":"Couldn't authenticate you"}`, ClassAuth, "", "Couldn't authenticate you", nil},
		{"OAuth's", 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`, ClassAuth, "invalid_client", "Client authentication failed.", nil},
		{"plain text", 429, "Number of allowed API requests per minute exceeded", ClassRateLimited, "", "Number of allowed", nil},
		{"HTML from the edge", 503, "<!DOCTYPE html><title>Down</title>", ClassUnavailable, "", "", nil},
		{"HTML with 403", 403, "<html>blocked</html>", ClassForbidden, "", "", nil},
		{"nothing at all", 500, "", ClassUnavailable, "", "", nil},
		{"garbage", 400, "{\"error\":", ClassRejected, "", "", nil},
		{"wrong types", 400, `{"error":7,"description":[1],"details":"x","errors":[3]}`, ClassRejected, "", "", nil},
		{"complaints about a field", 422, `{"error":"RecordInvalid","description":"Record validation errors","details":{"status":[{"description":"Status: closed prevents ticket update"}]}}`, ClassRejected, "RecordInvalid", "closed prevents ticket update", []string{"status"}},
		{"a complaint that is no list", 422, `{"error":"RecordInvalid","details":{"phone":{"description":"Phone 5551234567 is not properly formatted","error":"InvalidFormat"}}}`, ClassRejected, "RecordInvalid", "not properly formatted", []string{"phone"}},
		{"a field's name that is data", 422, `{"error":"RecordInvalid","details":{"5135557611":{"description":"x"}}}`, ClassRejected, "RecordInvalid", "", nil},
		{"a conflict", 409, `{"error":"UpdateConflict","description":"Safe Update prevented the update"}`, ClassConflict, "UpdateConflict", "Safe Update", nil},
		{"404 for a path nobody knows", 404, `{"error":"InvalidEndpoint","description":"Not found"}`, ClassRejected, "InvalidEndpoint", "Not found", nil},
		{"404 from the edge", 404, "<html>No help desk here</html>", ClassMalformed, "", "", nil},
		{"404 without a body", 404, "", ClassMalformed, "", "", nil},
		{"404 of somebody's JSON", 404, `{"message":"no Route matched"}`, ClassMalformed, "", "", nil},
		{"408", 408, "", ClassUnavailable, "", "", nil},
		{"an unknown 4xx", 418, `{"error":"Teapot"}`, ClassRejected, "Teapot", "", nil},
		{"Cloudflare's", 522, "<html>", ClassUnavailable, "", "", nil},
		{"204", 204, "", ClassMalformed, "", "", nil},
		{"a code with a number in it is text", 400, `{"error":"Phone5135557611"}`, ClassRejected, "", "Phone5135557611", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := get("users/{id}", "/x", nil).refusal(tt.status, http.Header{}, []byte(tt.body), time.Now())
			if e.Class != tt.class || e.Code != tt.code || e.Status != tt.status {
				t.Errorf("got %s %q %d", e.Class, e.Code, e.Status)
			}
			if !strings.Contains(e.Description, tt.says) || (tt.says == "" && e.Description != "") {
				t.Errorf("description %q", e.Description)
			}
			if diff := cmp.Diff(tt.fields, e.Fields); diff != "" {
				t.Error(diff)
			}
			for _, word := range []string{"Not found", "Access", "5135557611", "5551234567", "page", "Couldn't"} {
				if strings.Contains(e.Error(), word) {
					t.Errorf("the text repeats what was said: %s", e)
				}
			}
		})
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*Error{
		"zendesk users/{id}: not found (404, RecordNotFound)":                        {Class: ClassNotFound, Status: 404, Code: "RecordNotFound", Description: "Jane Doe 5135557611", Endpoint: "users/{id}"},
		"zendesk tickets/{id} update: unavailable (connection cut, outcome unknown)": {Class: ClassUnavailable, Endpoint: endpointTicketUpdate, UnknownOutcome: true, detail: "connection cut"},
		"zendesk search: rate limited (refused here)":                                {Class: ClassRateLimited, Endpoint: "search", detail: "refused here"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTellingRefusalsApart(t *testing.T) {
	t.Parallel()
	read := func(status int, body string) *Error {
		return get("x", "/x", nil).refusal(status, http.Header{}, []byte(body), time.Now())
	}
	closed := read(422, `{"error":"RecordInvalid","description":"Record validation errors","details":{"status":[{"description":"Status: closed prevents ticket update"}]}}`)
	phone := read(422, `{"error":"RecordInvalid","description":"Record validation errors","details":{"phone":[{"description":"Phone is bad"}]}}`)
	if !closed.TicketClosed() || phone.TicketClosed() {
		t.Error("closed tickets are not told apart")
	}
	old, young := read(422, `{"error":"InvalidValue","description":"Too recent start_time. Use a start_time older than 5 minutes"}`), read(400, `{"error":"StartTimeTooRecent"}`)
	if !old.StartTooRecent() || !young.StartTooRecent() || closed.StartTooRecent() || read(422, `{"error":"InvalidValue","description":"x"}`).StartTooRecent() {
		t.Error("a start time that is too recent is not told apart")
	}
}

func TestUnknownOutcomesOfWrites(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		302: true, 400: false, 401: false, 403: false, 404: false, 408: true, 409: false, 422: false, 429: false, 500: true, 502: true, 503: false, 504: true, 520: true, 204: true,
	} {
		write := &call{endpoint: endpointTicketUpdate, write: true}
		if got := write.refusal(status, http.Header{}, nil, time.Now()).UnknownOutcome; got != want {
			t.Errorf("%d: unknown outcome %v, want %v", status, got, want)
		}
		if get("x", "/x", nil).refusal(status, http.Header{}, nil, time.Now()).UnknownOutcome {
			t.Errorf("%d: a read has an unknown outcome", status)
		}
	}
}

func TestCollectedErrorBodies(t *testing.T) {
	t.Parallel()
	var rows []struct {
		ID       string
		Status   int
		Headers  map[string]string
		Body     json.RawMessage
		BodyText string `json:"body_text"`
		Code     string `json:"error_code"`
	}
	if err := json.Unmarshal(sharedFile(t, "zendesk-errors.json"), &rows); err != nil {
		t.Fatal(err)
	}
	classes := map[int]Class{400: ClassRejected, 401: ClassAuth, 403: ClassForbidden, 404: ClassNotFound, 409: ClassConflict, 422: ClassRejected, 429: ClassRateLimited, 503: ClassUnavailable}
	for _, row := range rows {
		t.Run(row.ID, func(t *testing.T) {
			t.Parallel()
			body := row.BodyText
			if body == "" {
				body = string(row.Body)
			}
			if row.Status == http.StatusOK {
				c := newClient(t, basicConfig(play(answers(row.Status, body))))
				_, err := c.Me(t.Context())
				if e := asError(t, err); e.Class != ClassAuth {
					t.Errorf("got %v", err)
				}
				return
			}
			e := get("x", "/x", nil).refusal(row.Status, http.Header{}, []byte(body), time.Now())
			want := classes[row.Status]
			if e.Code == "InvalidEndpoint" {
				want = ClassRejected
			}
			if e.Class != want {
				t.Errorf("class %s, want %s", e.Class, want)
			}
			if body != "" && body != "null" && e.Code == "" && e.Description == "" {
				t.Errorf("nothing was read of %s", body)
			}
		})
	}
}

func FuzzErrorBody(f *testing.F) {
	for _, s := range []string{
		"", "null", "[]", `"x"`, `{"error":{"title":"a","message":"b"}}`, `{"errors":[{"code":"A"}]}`, `{"errors":[null]}`, `{"error":null}`,
		`{"error":"A","details":{"b":[{"description":"c"}],"d":{"description":"e"}}}`, "<html>", "Number of allowed", "\xff\xfe", `{"error":"` + strings.Repeat("é", 600) + `"}`,
	} {
		f.Add(404, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := get("x", "/x", nil).refusal(status, http.Header{}, body, time.Unix(0, 0))
		if e.Class == "" || len(e.Description) > descriptionMost || !utf8.ValidString(e.Description) {
			t.Errorf("%+v", e)
		}
		if e.Code != "" && !isCode(e.Code) {
			t.Errorf("code %q", e.Code)
		}
		if e.Class == ClassNotFound && !json.Valid(body) {
			t.Errorf("a 404 of %q was believed", body)
		}
	})
}
