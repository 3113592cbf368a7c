// node-zendesk, as it is, against whatever speaks Zendesk's API at an address.
//
// The environment variable COMPAT holds, as JSON, that address, what opens it,
// and what must be found there; node_test.go beside this folder makes it. What
// the account has got in the end is checked there too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import zendesk from 'node-zendesk';

const { face, want } = JSON.parse(process.env.COMPAT);
const { createClient } = zendesk;

const client = (credentials) =>
  createClient({ endpointUri: face.endpointUri, throwOriginalException: true, ...credentials });
const usual = client({ username: face.user, password: face.password });

const openTicketsOf = (id) => `type:ticket status<solved requester:${id}`;

// known leaves of an object only what want says of it, so that the two can be
// compared: a face may know more.
const known = (object, like) => Object.fromEntries(Object.keys(like).map((key) => [key, object[key]]));
const assertLike = (object, like) => assert.deepEqual(known(object, like), like);
const assertAllLike = (objects, likes) =>
  assert.deepEqual(objects.map((object, i) => known(object, likes[i] ?? {})), likes);

const refusedWith = (status, result) => (error) => {
  assert.equal(error.statusCode, status);
  if (result) assert.deepEqual(error.result, result);
  return true;
};
const recordNotFound = { error: 'RecordNotFound', description: 'Not found' };

test('a caller, by the number', async () => {
  const found = await usual.users.search({ query: `type:user ${want.caller.number}` });
  assert.equal(found.length, 1);
  assertLike(found[0], want.caller.user);
  const { response, result } = await usual.users.show(want.caller.user.id);
  assert.equal(response.status, 200);
  assert.deepEqual(result, found[0]);
});

test('the search for everything finds the caller too', async () => {
  // Without a plus: with one, Zendesk's own finds nothing here.
  const { result } = await usual.search.query(`type:user ${want.caller.number.slice(1)}`);
  assert.equal(result.length, 1);
  assertLike(result[0], { ...want.caller.user, result_type: 'user' });
});

test('their unresolved tickets', async () => {
  const { result } = await usual.search.query(openTicketsOf(want.caller.user.id));
  const ids = (tickets) => tickets.map((ticket) => ticket.id).sort();
  assert.deepEqual(ids(result), ids(want.caller.tickets));
  const all = await usual.search.queryAll(openTicketsOf(want.caller.user.id));
  assert.deepEqual(all, result);
  for (const ticket of result) {
    assertLike(ticket, want.caller.tickets.find((wanted) => wanted.id === ticket.id));
    assert.equal(ticket.result_type, 'ticket');
  }
  const shown = await usual.tickets.show(want.caller.tickets[0].id);
  assertLike(shown.result, want.caller.tickets[0]);
});

test('the tickets that they requested', async () => {
  const requested = await usual.tickets.listByUserRequested(want.caller.user.id);
  const unresolved = requested.filter((ticket) => !['solved', 'closed'].includes(ticket.status));
  assert.deepEqual(new Set(unresolved.map((ticket) => ticket.id)), new Set(want.caller.tickets.map((ticket) => ticket.id)));
  if (face.daemon) assertAllLike(requested, want.caller.tickets);
});

test('nobody and nothing', async () => {
  assert.deepEqual(await usual.users.search({ query: `type:user ${want.nobody}` }), []);
  const found = await usual.users.search({ query: `type:user ${want.quiet.number}` });
  assert.deepEqual(found.map((user) => user.id), [want.quiet.user.id]);
  assert.deepEqual((await usual.search.query(openTicketsOf(want.quiet.user.id))).result, []);
  assert.deepEqual(await usual.search.queryAll(openTicketsOf(want.quiet.user.id)), []);
});

for (const [name, credentials] of Object.entries({
  'a password': { username: face.user, password: face.password },
  'an API token': { username: face.user, token: face.token },
  'an OAuth token': { token: face.bearer, oauth: true },
})) {
  test(`who it is, with ${name}`, async () => {
    const { result } = await client(credentials).users.me();
    assert.equal(typeof result.id, 'number');
    assert.ok(result.id > 0);
    assert.equal(typeof result.name, 'string');
    const found = await client(credentials).users.search({ query: `type:user ${want.caller.number}` });
    assert.deepEqual(found.map((user) => user.id), [want.caller.user.id]);
  });
}

test('a token that is none', async () => {
  const stranger = client({ token: 'nobody-has-this-secret-nobody-has-it', oauth: true });
  await assert.rejects(stranger.users.show(want.caller.user.id), refusedWith(401, { error: "Couldn't authenticate you" }));
});

test('a ticket that is not there', async () => {
  await assert.rejects(usual.tickets.show(999_999_999), refusedWith(404, recordNotFound));
});

test('comments', async () => {
  const { number, user, tickets } = want.writer;
  assert.equal((await usual.users.search({ query: `type:user ${number}` })).length, 1);
  const found = (await usual.search.query(openTicketsOf(user.id))).result;
  assert.ok(found.some((ticket) => ticket.id === tickets[0].id));
  for (const comment of want.comments) {
    const { response, result } = await usual.tickets.update(tickets[0].id, { ticket: { comment } });
    assert.equal(response.status, 200);
    assertLike(result, { id: tickets[0].id, requester_id: user.id, status: tickets[0].status });
  }
});

test('somebody who is new', async () => {
  const found = await usual.users.search({ query: `type:user ${want.newcomer.number}` });
  assert.equal(found.length, 1);
  assertLike(found[0], want.newcomer.user);
  assertAllLike((await usual.search.query(openTicketsOf(want.newcomer.user.id))).result, want.newcomer.tickets);
});

// What aniproxy does otherwise than Zendesk.
if (face.daemon) {
  test('a number with a plus in the search for everything', async () => {
    const { result } = await usual.search.query(`type:user ${want.caller.number}`);
    assert.deepEqual(result.map((user) => user.id), [want.caller.user.id]);
  });

  test('a number that is an identity only', async () => {
    const found = await usual.users.search({ query: `type:user ${want.further.number}` });
    assert.deepEqual(found.map((user) => user.id), [want.further.user.id]);
  });

  test("a shared number is nobody's", async () => {
    assert.deepEqual(await usual.users.search({ query: `type:user ${want.shared.number}` }), []);
    assert.deepEqual((await usual.search.query(`type:user ${want.shared.number}`)).result, []);
    await assert.rejects(usual.users.show(want.shared.user.id), refusedWith(404, recordNotFound));
    await assert.rejects(usual.tickets.show(want.shared.tickets[0].id), refusedWith(404, recordNotFound));
  });

  test('an update that is more than a comment', async () => {
    const { id } = want.writer.tickets[0];
    await assert.rejects(usual.tickets.update(id, { ticket: { status: 'solved', comment: { body: 'Done.' } } }), refusedWith(422));
  });

  test('what is not part of the face', async () => {
    const invalid = { error: 'InvalidEndpoint', description: 'Not found' };
    await assert.rejects(usual.users.list(), refusedWith(404, invalid));
    await assert.rejects(usual.search.showResultsCount('type:user'), refusedWith(404, invalid));
    await assert.rejects(usual.organizations.list(), refusedWith(404, invalid));
    await assert.rejects(usual.tickets.delete(want.writer.tickets[0].id), refusedWith(404, invalid));
  });
}
