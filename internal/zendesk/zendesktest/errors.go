package zendesktest

import "net/http"

// The service has four shapes of error, plain text, and HTML from its edge.

func jsonReply(status int, v any) reply {
	return reply{status: status, header: http.Header{}, body: encodeJSON(v)}
}

// errText is {"error":"…","description":"…"}.
func errText(status int, name, description string) reply {
	return jsonReply(status, map[string]any{"error": name, "description": description})
}

// errTitle is {"error":{"title":"…","message":"…"}}.
func errTitle(status int, title, message string) reply {
	return jsonReply(status, map[string]any{"error": map[string]any{"title": title, "message": message}})
}

// errList is a 400 with {"errors":[{"code":"…","title":"…","detail":"…"}]}.
func errList(code, title, detail string) reply {
	return jsonReply(http.StatusBadRequest, map[string]any{"errors": []any{map[string]any{"code": code, "title": title, "detail": detail}}})
}

// errWord is {"error":"…"}.
func errWord(status int, word string) reply {
	return jsonReply(status, map[string]any{"error": word})
}

func plainText(status int, text string) reply {
	return reply{status: status, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, body: []byte(text)}
}

// invalidRecord is the 422 of a record that may not be so.
func invalidRecord(details map[string]any) reply {
	return jsonReply(http.StatusUnprocessableEntity, map[string]any{
		"error": "RecordInvalid", "description": "Record validation errors", "details": details,
	})
}

func notFound() reply { return errText(http.StatusNotFound, "RecordNotFound", "Not found") }

func restricted() reply {
	return errTitle(http.StatusForbidden, "Forbidden",
		"Access to this resource is restricted. Please contact the account administrator for assistance.")
}

func unauthenticated() reply {
	return errWord(http.StatusUnauthorized, "Couldn't authenticate you")
}

func badAttribute(name, wants string) reply {
	return errTitle(http.StatusBadRequest, "Invalid attribute",
		"You passed an invalid value for the "+name+" attribute. Invalid parameter: "+name+" "+wants)
}

// ErrorShape gives a fault that answers as the service once did; the names
// are those of the collection of error bodies that the facts of this project
// were written from. ok is false for an unknown name.
func ErrorShape(name string) (f Fault, ok bool) {
	rep, ok := errorShapes[name]
	if !ok {
		return Fault{}, false
	}
	f = Fault{Status: rep.status, Body: string(rep.body), Header: http.Header{}}
	for k, v := range rep.header {
		f.Header[k] = v
	}
	return f, true
}

func withRetry(rep reply, seconds string) reply {
	rep.header.Set("Retry-After", seconds)
	return rep
}

// errorShapes is read-only.
var errorShapes = map[string]reply{
	"rate_limited_incremental":           withRetry(errText(429, "APIRateLimitExceeded", "Number of allowed incremental export API requests per minute exceeded"), "30"),
	"rate_limited_account_plaintext":     withRetry(plainText(429, "Number of allowed API requests per minute exceeded"), "30"),
	"rate_limited_user_update_plaintext": plainText(429, "You have exceeded the rate limit for updating a single unique user. user email: x  id:  external_id: x"),
	"start_time_too_recent_time_based":   errText(422, "InvalidValue", "Too recent start_time. Use a start_time older than 5 minutes"),
	"start_time_too_recent_cursor":       errText(400, "StartTimeTooRecent", "start_time must be at least one minute in the past"),
	"unauthenticated":                    unauthenticated(),
	"users_me_anonymous":                 {status: 200, header: http.Header{}, body: []byte(`{"user":{"name":"Anonymous user"}}`)},
	"forbidden_scope":                    errText(403, "Forbidden", "Missing the following required scopes: read"),
	"forbidden_plan_or_role":             restricted(),
	"not_found":                          notFound(),
	"invalid_endpoint":                   errText(404, "InvalidEndpoint", "Not found"),
	"closed_ticket_update": invalidRecord(map[string]any{
		"status": []any{map[string]any{"description": "Status: closed prevents ticket update"}},
	}),
	"invalid_phone": invalidRecord(map[string]any{
		"phone": map[string]any{"description": "Phone 5551234567 is not properly formatted", "error": "InvalidFormat"},
	}),
	"update_conflict":         errText(409, "UpdateConflict", updateConflict),
	"idempotency_mismatch":    errText(400, "IdempotentRequestError", "Request parameters don't match the given idempotency key"),
	"search_page_not_integer": errTitle(400, "Invalid attribute", "You passed an invalid value for the page attribute. Invalid parameter: page must be an integer from api/v2/search/index"),
	"search_over_1000":        errText(422, "invalid", "Invalid search: Requested response size was greater than Search Response Limits"),
	"search_unavailable":      errText(503, "unavailable", "Sorry, we could not complete your search query. Please try again in a moment."),
	"offset_too_deep":         jsonReply(400, map[string]any{"errors": []any{map[string]any{"code": "InvalidPaginationDepth"}}}),
	"too_many_values":         errText(400, "TooManyValues", "Maximum 100 users may be created per call"),
	"too_many_jobs": jsonReply(429, map[string]any{
		"error": "TooManyJobs", "description": "Too many UserBulkUpdateJobV2 jobs are currently queued or running. Try again later.",
		"current_job_ids": []string{"14b1939441cb2e96d0c0835ede22ce03"},
	}),
}

const updateConflict = "Safe Update prevented the update due to outdated ticket data. Please fetch the latest ticket data and try again."
