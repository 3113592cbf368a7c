// Tests only, in a module of their own: the client that they run is nothing
// that aniproxy is built from.
module aniproxy/internal/compat/gozendesk

go 1.26.0

require (
	aniproxy v0.0.0
	github.com/google/go-cmp v0.7.0
	github.com/nukosuke/go-zendesk v0.18.0
)

require (
	github.com/brianvoe/gofakeit/v7 v7.18.1 // indirect
	github.com/google/go-querystring v1.1.0 // indirect
	github.com/nyaruka/phonenumbers v1.8.1 // indirect
	golang.org/x/text v0.44.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace aniproxy => ../../..
