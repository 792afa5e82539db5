// Looker's client for Node drives every operation of a simulator in which query 1 takes long:
// node client.mjs BASE_URL, where what package.json names is installed.

import { strict as assert } from "node:assert";
import { DelimArray } from "@looker/sdk-rtl";
import { LookerNodeSDK, NodeSettings } from "@looker/sdk-node";

const RESULTS = ["json", "json_detail", "json_bi", "csv", "txt", "md", "html", "sql"];
const QUERY = {
  model: "flights_2013",
  view: "flights",
  fields: ["flights.origin", "flights.count"],
  filters: { "flights.carrier": "UA" },
  sorts: ["flights.count desc"],
};

class Settings extends NodeSettings {
  constructor(baseUrl, secret) {
    super("", { base_url: baseUrl, verify_ssl: "false", timeout: "20" });
    this.secret = secret;
  }

  readConfig() {
    return { client_id: "simulator", client_secret: this.secret };
  }
}

const storedId = (number) => `query${String(number).padStart(17, "0")}`;
const clientWith = (secret) => LookerNodeSDK.init40(new Settings(process.argv[2], secret));
const looker = clientWith("simulator");
const created = (query_id) =>
  looker.ok(looker.create_query_task({ body: { query_id, result_format: "json_detail" } }));

async function outcomeOf(id) {
  for (;;) {
    const entries = await looker.ok(looker.query_task_multi_results(new DelimArray([id, "unknown-task"])));
    if (!["added", "running"].includes(entries[id].status)) return entries[id];
  }
}

async function describeInstance() {
  assert.equal((await looker.ok(looker.me())).display_name, "Simulator");
  assert.equal((await looker.ok(looker.versions())).current_version.version, "4.0");
  assert.ok((await looker.ok(looker.all_timezones())).some((zone) => zone.value === "UTC"));
  assert.equal((await looker.ok(looker.all_lookml_models({}))).length, 3);
  const explore = { lookml_model_name: "shop", explore_name: "orders" };
  assert.equal((await looker.ok(looker.lookml_model_explore(explore))).name, "orders");
  const fields = "fields(parameters(name))";
  assert.deepEqual(await looker.ok(looker.lookml_model_explore({ ...explore, fields })), {
    fields: { parameters: [{ name: "orders.unit" }] },
  });
}

async function describeContent() {
  assert.equal((await looker.ok(looker.look("1"))).query_id, storedId(1));
  const dashboard = await looker.ok(looker.dashboard("2"));
  assert.equal(dashboard.dashboard_filters[0].default_value, "CA");
  assert.equal((await looker.ok(looker.dashboard_dashboard_elements("2"))).length, 8);
  assert.equal((await looker.ok(looker.dashboard_dashboard_filters("2"))).length, 3);
}

async function runQueries() {
  const query = await looker.ok(looker.create_query(QUERY));
  assert.equal((await looker.ok(looker.query(query.id))).view, "flights");
  assert.equal((await looker.ok(looker.query_for_slug(query.slug))).id, query.id);
  for (const result_format of RESULTS) {
    await looker.ok(looker.run_inline_query({ result_format, body: QUERY }));
    await looker.ok(looker.run_query({ query_id: storedId(4), result_format, limit: 5, cache: true }));
    await looker.ok(looker.run_look({ look_id: "2", result_format }));
  }
  const asJson = { result_format: "json" };
  assert.equal((await looker.ok(looker.run_inline_query({ ...asJson, body: QUERY }))).length, 3);
  assert.equal((await looker.ok(looker.run_query({ ...asJson, query_id: storedId(4) }))).length, 67);
  assert.match(await looker.ok(looker.run_look({ look_id: "2", result_format: "csv" })), /Telluride/);
  return query;
}

async function followTask(query) {
  const task = await created(query.id);
  const entry = await outcomeOf(task.id);
  assert.equal(entry.status, "complete");
  assert.deepEqual(
    entry.data.data.map((row) => row["flights.count"].value),
    [46087, 8044, 4534],
  );
  assert.equal((await looker.ok(looker.query_task(task.id))).status, "complete");
  assert.equal((await looker.ok(looker.query_task_results(task.id))).id, task.id);
  await assert.rejects(looker.ok(looker.kill_query(task.id)));
}

async function cancelTask() {
  assert.deepEqual(await looker.ok(looker.all_running_queries()), []);
  const task = await created(storedId(1));
  assert.match((await looker.ok(looker.query_task(task.id))).status, /added|running/);
  assert.equal(await looker.ok(looker.query_task_results(task.id)), "");
  const [running] = await looker.ok(looker.all_running_queries());
  assert.equal(running.query_task_id, task.id);
  await looker.ok(looker.kill_query(task.id));
  assert.equal((await outcomeOf(task.id)).status, "killed");
}

async function beRefused() {
  const asJson = { result_format: "json" };
  for (const call of [
    () => looker.query("999"),
    () => looker.query_for_slug("999"),
    () => looker.look("999"),
    () => looker.dashboard("999"),
    () => looker.dashboard_dashboard_elements("999"),
    () => looker.dashboard_dashboard_filters("999"),
    () => looker.lookml_model_explore({ lookml_model_name: "shop", explore_name: "nothing" }),
    () => looker.run_query({ ...asJson, query_id: "999" }),
    () => looker.run_look({ ...asJson, look_id: "999" }),
    () => looker.create_query_task({ body: { ...asJson, query_id: "999" } }),
    () => looker.query_task("999"),
    () => looker.query_task_results("999"),
    () => looker.kill_query("999"),
    () => clientWith("wrong").me(),
  ]) {
    await assert.rejects(async () => looker.ok(call()), /Not found/, String(call));
  }
  const nameless = looker.create_query({ ...QUERY, view: "" });
  await assert.rejects(looker.ok(nameless), /Validation Failed/);
}

await describeInstance();
await describeContent();
await followTask(await runQueries());
await cancelTask();
await beRefused();
await looker.authSession.logout();
console.log("passed");
