package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// userDrops are the fields of a user's object that are not kept: pictures,
// what agents note about people, and what only a log-in needs. Everything else
// stays as Zendesk wrote it, for clients that expect Zendesk's own objects.
var userDrops = map[string]bool{
	"photo":                   true,
	"remote_photo_url":        true,
	"signature":               true,
	"details":                 true,
	"notes":                   true,
	"authenticity_token":      true,
	"two_factor_auth_enabled": true,
	"result_type":             true, // of a search's hit alone
}

// ticketDrops are the fields of a ticket's object that are not kept: the first
// comment's text, how the ticket came in, and what stands elsewhere in the
// same object.
var ticketDrops = map[string]bool{
	"description":           true,
	"raw_subject":           true, // subject, before placeholders are filled in
	"via":                   true,
	"fields":                true, // custom_fields again
	"satisfaction_rating":   true,
	"sharing_agreement_ids": true,
	"generated_timestamp":   true, // of the export alone; a ticket that is shown has none
	"result_type":           true, // of a search's hit alone
}

// slim copies a JSON object without some of its fields, in their order.
func slim(raw []byte, drops map[string]bool) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	out := append(make([]byte, 0, len(raw)), '{')
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if drops[name] {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, quoted...), ':'), value...)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, append(out, '}')); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}
