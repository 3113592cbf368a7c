package zendesk

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// showMost is how many ids a show_many takes.
	showMost = 100
	// listPage is the most records a page of a list has.
	listPage = 100
	// searchMost is how many hits a search gives, pages and all; a page past
	// it is a 422.
	searchMost = 1000
	// identityPages bounds the pages of one user's numbers: 10,000 numbers
	// are no person.
	identityPages = 100
)

// UsersAnswer is the answer to ShowManyUsers.
type UsersAnswer struct {
	// Users are those that are there, in Zendesk's order; who is missing is
	// not there, or may not be seen, or could not be read.
	Users []User
	// Identities are as UserPage.Identities.
	Identities map[int64][]Identity
	Skipped    int       // as UserPage.Skipped
	Sent       time.Time // as UserPage.Sent
}

// SearchUsersByPhone asks the search for users whose phone ends with these
// digits: a national number, no plus, no punctuation. It reads all pages. Of
// several roles the filter is ours, of one Zendesk's as well; none is all.
//
// The hits are candidates, no more: it is a suffix match in an index that lags
// by minutes. complete is false where there are more hits than a search gives,
// fewer came than Zendesk counted, or one could not be read: then none may be
// called the only one.
// sent is that of the first page's request.
func (c *Client) SearchUsersByPhone(ctx context.Context, national string, roles []string) (hits []User, complete bool, sent time.Time, err error) {
	query, refused := phoneQuery(national, roles)
	if refused != nil {
		return nil, false, time.Time{}, refused
	}
	seen, unread := map[int64]bool{}, 0
	for page := 1; ; page++ {
		k := get(endpointSearch, "/api/v2/search.json", url.Values{
			"query": {query}, "page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(listPage)},
			// A fixed order, so that pages do not shift under the walk.
			"sort_by": {"created_at"}, "sort_order": {"asc"},
		})
		k.lane = searchLane
		var w struct {
			Results userList `json:"results"`
			Count   int64    `json:"count"`
			paging
		}
		a, err := c.ask(ctx, k, &w)
		if err != nil {
			return nil, false, time.Time{}, err
		}
		if !w.Results.usable() {
			return nil, false, time.Time{}, c.unreadable(k, a, "not a page of results")
		}
		if page == 1 {
			sent = a.sent
		}
		for _, u := range w.Results.items {
			if !seen[u.ID] && (len(roles) == 0 || slices.Contains(roles, u.Role)) {
				hits = append(hits, u)
			}
			seen[u.ID] = true
		}
		unread += len(w.Results.bad)
		more := w.hasNextPage() && len(w.Results.items)+len(w.Results.bad) > 0
		if !more || page == searchMost/listPage {
			return hits, !more && unread == 0 && int64(len(seen)) >= w.Count, sent, nil
		}
	}
}

const endpointSearch = "search"

// phoneQuery is the one search for people that there is. It is made of digits
// and of a role's one name, so that nothing a caller or a client of ours wrote
// can be an operator in it.
func phoneQuery(national string, roles []string) (string, *Error) {
	if national == "" || len(national) > 20 || strings.Trim(national, "0123456789") != "" {
		return "", rejected(endpointSearch, "not a national number")
	}
	if len(roles) != 1 {
		return "type:user phone:*" + national, nil
	}
	switch role := roles[0]; role {
	case "end-user", "agent", "admin":
		return "type:user role:" + role + " phone:*" + national, nil
	default:
		return "", rejected(endpointSearch, "not a role")
	}
}

// ShowManyUsers reads up to 100 users by id, with their identities where asked.
func (c *Client) ShowManyUsers(ctx context.Context, ids []int64, withIdentities bool) (*UsersAnswer, error) {
	const endpoint = "users/show_many"
	if len(ids) == 0 || len(ids) > showMost {
		return nil, rejected(endpoint, "1 to 100 ids")
	}
	q := idsQuery(ids)
	if withIdentities {
		q.Set("include", "identities")
	}
	k := get(endpoint, "/api/v2/users/show_many.json", q)
	var w struct {
		Users      userList     `json:"users"`
		Identities identityList `json:"identities"`
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, err
	}
	if !w.Users.usable() {
		return nil, c.unreadable(k, a, "not a list of users")
	}
	return &UsersAnswer{
		Users: w.Users.items, Identities: sideloaded(w.Identities, w.Users.items), Skipped: len(w.Users.bad), Sent: a.sent,
	}, nil
}

// idsQuery is the query of a show_many.
func idsQuery(ids []int64) url.Values {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(id, 10)
	}
	return url.Values{"ids": {strings.Join(words, ",")}}
}

// ShowUser reads one user. sent is as UserPage.Sent; with an error it is the
// error's Sent, the time of a "not found". The error wraps ErrUnreadable where
// the user is there in a form that cannot be read.
func (c *Client) ShowUser(ctx context.Context, id int64) (user *User, sent time.Time, err error) {
	k := get("users/{id}", userPath(id)+".json", nil)
	return c.oneUser(ctx, k)
}

// Me reads the user that the credentials belong to: the check of credentials.
// Zendesk greets a stranger with 200 and a user without an id: ClassAuth.
func (c *Client) Me(ctx context.Context) (*User, error) {
	u, _, err := c.oneUser(ctx, get(endpointMe, "/api/v2/users/me.json", nil))
	if u != nil {
		u.Raw = nil // it holds an authenticity token
	}
	return u, err
}

const endpointMe = "users/me"

func (c *Client) oneUser(ctx context.Context, k *call) (*User, time.Time, error) {
	var w struct {
		User one[User, *User] `json:"user"`
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, sentOf(err), err
	}
	u := w.User.value
	switch {
	case w.User.bad:
		return nil, a.sent, c.unreadableObject(k, a, "not a user of the API's form")
	case u == nil:
		return nil, a.sent, c.unreadable(k, a, "no user")
	case u.ID <= 0 && k.endpoint == endpointMe:
		c.faults.Add(1)
		return nil, a.sent, &Error{Class: ClassAuth, Status: a.status, Endpoint: k.endpoint, detail: "anonymous user"}
	case u.ID <= 0:
		return nil, a.sent, c.unreadable(k, a, "user without an id")
	}
	return u, a.sent, nil
}

// UserIdentities reads all numbers that a user has as identities, the
// profile's direct line among them. sent is that of the first page's request.
// The error wraps ErrUnreadable where one of them cannot be read: then what
// the user has is not known.
func (c *Client) UserIdentities(ctx context.Context, id int64) (numbers []Identity, sent time.Time, err error) {
	q := url.Values{"type[]": {PhoneIdentity}, "page[size]": {strconv.Itoa(listPage)}}
	k := get("users/{id}/identities", userPath(id)+"/identities.json", q)
	r, err := walk[Identity](ctx, c, k, identityPages, "identities")
	if err != nil {
		return nil, time.Time{}, err
	}
	switch {
	case r.Skipped > 0:
		return nil, time.Time{}, c.unreadableObject(k, &answer{}, "an identity not of the API's form")
	case !r.Complete:
		return nil, time.Time{}, c.unreadable(k, &answer{}, "too many pages")
	}
	return slices.DeleteFunc(r.Items, func(i Identity) bool { return i.Type != PhoneIdentity }), r.Sent, nil
}

func userPath(id int64) string { return "/api/v2/users/" + strconv.FormatInt(id, 10) }
