import assert from "node:assert/strict";
import { test } from "node:test";

import { ANSWER_MS, Connection, HEARTBEAT_MS } from "../../../../web/common/connection.js";
import { World } from "../world.js";

function connected(options = {}) {
  const world = new World();
  const connection = new Connection({
    url: (isReturn) => (isReturn ? "ws://back" : "ws://first"),
    refreshUrl: () => "ws://refresh",
    onMessage: (message) => world.messages.push(message.type),
    onState: (state, waitMs) => world.states.push(waitMs ? [state, waitMs] : state),
    ...world.outside,
    ...options,
  });
  connection.dial();
  return { world, connection };
}

const settled = () => new Promise((done) => setImmediate(done));

test("it is open once it has been welcomed, and comes back after a cut, later each time (W1)", async () => {
  const { world } = connected();
  world.socket.says({ type: "sessionJoined" });
  world.socket.cut();
  assert.deepEqual(world.states, ["dialing", "open", ["waiting", 200]]);
  world.isReachable = false;
  for (const waitMs of [400, 800, 1600, 3200, 5000, 5000]) {
    world.pass(10_000);
    assert.equal(world.socket.url, "ws://back");
    world.socket.cut();
    await settled();
    assert.deepEqual(world.states.at(-1), ["waiting", waitMs]);
  }
  world.pass(10_000);
  world.socket.says({ type: "sessionJoined" });
  assert.equal(world.states.at(-1), "open");
});

test("who is not let in by a service that is there is refused; a return is tried some times more", async () => {
  const { world } = connected();
  world.socket.cut();
  await settled();
  assert.equal(world.states.at(-1), "refused");

  const back = connected();
  back.world.socket.says({ type: "sessionJoined" });
  back.world.socket.cut();
  let tries = 0;
  while (back.world.states.at(-1) !== "refused" && tries < 10) {
    back.world.pass(10_000);
    back.world.socket.cut();
    await settled();
    tries += 1;
  }
  assert.equal(tries, 4);
});

test("it keeps itself alive, and dials anew when nobody answers (W11)", () => {
  const { world } = connected();
  world.socket.says({ type: "sessionJoined" });
  world.pass(HEARTBEAT_MS);
  assert.deepEqual(world.socket.sent, [{ action: "heartbeat" }]);
  world.pass(100);
  world.socket.says({ type: "heartbeatAck" });
  world.pass(HEARTBEAT_MS);
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(world.messages, ["sessionJoined"]);
  world.pass(ANSWER_MS + 300);
  assert.equal(world.sockets.length, 2);
  assert.equal(world.sockets[0].isClosed, true);
});

test("before its time is up it moves: both are heard for a while, then the old one is closed (W12, W17)", () => {
  const { world, connection } = connected();
  world.socket.says({ type: "sessionJoined" });
  world.socket.says({ type: "connectionWarning", remainingSeconds: 900 });
  world.pass(10);
  const [old, fresh] = world.sockets;
  assert.equal(fresh.url, "ws://refresh");
  connection.send({ action: "x" });
  assert.equal(old.sent.at(-1).action, "x");
  fresh.says({ type: "connectionRefreshed" });
  connection.send({ action: "y" });
  assert.equal(fresh.sent.at(-1).action, "y");
  old.says({ type: "caption" });
  assert.equal(world.messages.at(-1), "caption");
  world.pass(2_000);
  assert.equal(old.isClosed, true);
  assert.equal(connection.state, "open");
  assert.deepEqual(world.states, ["dialing", "open"]);
});

test("a refresh that fails changes nothing, and is tried again", () => {
  const { world, connection } = connected();
  world.socket.says({ type: "sessionJoined" });
  connection.refresh();
  world.socket.cut();
  assert.equal(connection.state, "open");
  const before = world.sockets.length;
  for (let i = 0; i < 12; i++) {
    world.pass(5_000);
    world.sockets[0].says({ type: "heartbeatAck" });
  }
  assert.ok(world.sockets.slice(before).some(({ url }) => url === "ws://refresh"));
});

test("a service that goes away is left alone for as long as it asks (W17)", () => {
  const { world } = connected();
  world.socket.says({ type: "sessionJoined" });
  world.socket.says({ type: "serverDraining", reconnectAfterSeconds: 2 });
  world.socket.cut();
  assert.deepEqual(world.states.at(-1), ["waiting", 2_000]);
});

test("what is no message of ours is not passed on; what is closed stays closed", () => {
  const { world, connection } = connected();
  world.socket.says({ type: "sessionJoined" });
  world.socket.says({ message: "Internal server error" });
  world.socket.onmessage({ data: "rubbish" });
  assert.deepEqual(world.messages, ["sessionJoined"]);
  connection.close();
  world.pass(600_000);
  assert.equal(world.sockets.length, 1);
  assert.equal(connection.send({ action: "x" }), false);
});
