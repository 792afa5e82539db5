"use strict";
(() => {
  const { run, stages, tasks: rows, load, holdUp, calls, metered, configuration } = JSON.parse(document.getElementById("data").textContent);
  const PHASES = ["queued", "running", "collecting", "collected", "delivering"];
  const PAGE = 50;
  const byId = (id) => document.getElementById(id);

  // Control characters, halves of characters and those that turn the direction of text are shown, not obeyed.
  const visible = (text) => String(text)
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu, "\ufffd");

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null).map((child) => (child instanceof Node ? child : visible(child))));
    return made;
  }

  const whole = new Intl.NumberFormat("en");
  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
    const total = Math.round(seconds);
    const [size, name, part, partName] = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]].find(([unit]) => total >= unit);
    const rest = Math.floor((total % size) / part);
    return `${Math.floor(total / size)} ${name}${rest ? ` ${rest} ${partName}` : ""}`;
  }
  function bytes(size) {
    for (const unit of ["bytes", "kB", "MB", "GB"]) {
      if (size < 1000) return `${size.toFixed(size < 10 && unit !== "bytes" ? 1 : 0)} ${unit}`;
      size /= 1000;
    }
    return `${size.toFixed(1)} TB`;
  }
  const count = (number, noun) => `${whole.format(number)} ${noun}${number === 1 ? "" : "s"}`;
  const share = (part) => (run.seconds ? (part < run.seconds / 200 ? "<1%" : `${Math.round((100 * part) / run.seconds)}%`) : "–");

  const inRun = (at) => (at === null ? null : Math.round((at - run.begin) * 1000) / 1000);
  const tasks = rows.map(([name, ended, id, queryId, link, attempt, status, error, rowCount, collected, written, runtime, ...moments], index) => {
    const title = name || `query task ${id}`, size = written || collected;
    const begun = moments.slice(0, 5).map(inRun);
    const end = moments[5] === null ? run.seconds : inRun(moments[5]);
    const phases = [];
    for (let phase = 4, until = end; phase >= 0; phase -= 1) {
      if (begun[phase] === null) continue;
      const last = Math.max(begun[phase], until);
      phases.unshift([phase, begun[phase], last]);
      until = begun[phase];
    }
    const begin = phases.length ? phases[0][1] : end;
    const work = phases.length ? phases[Math.min(phases[0][0] ? 0 : 1, phases.length - 1)][1] : end;
    const group = ended === "delivered" ? "delivered" : ended === "failed" || ended === "not launched" ? "failed" : ended;
    return { index, title: visible(title), id, queryId, link, attempt, ended, group, status, error, rowCount, size, runtime, phases, begin, work, end, order: `${ended} ${status}`,
      words: [title, id, queryId, status, ended, error].filter((word) => word !== null).join("\n").toLowerCase() };
  });
  const groups = new Map();
  for (const task of tasks) groups.set(task.group, (groups.get(task.group) || 0) + 1);
  const delivered = groups.get("delivered") || 0, failed = groups.get("failed") || 0;
  const left = groups.get("left for the next run") || 0;

  function describeRun() {
    const begin = new Date(run.begin * 1000), end = new Date((run.begin + run.seconds) * 1000);
    const time = (date, options) => element("time", { datetime: date.toISOString(), title: date.toISOString() }, date.toLocaleString(undefined, options));
    const bad = run.exitCode !== 0 && run.exitCode !== null;
    const good = `${whole.format(delivered)} of ${count(run.total, "task")} delivered`;
    byId("verdict").textContent = failed ? `${whole.format(failed)} of ${count(run.total, "task")} failed` : bad ? `The run broke off, ${good}` : good;
    document.title = `${byId("verdict").textContent} · ${begin.toISOString().slice(0, 16).replace("T", " ")}`;
    byId("when").append(time(begin, { dateStyle: "medium", timeStyle: "medium" }), " to ", time(end, { timeStyle: "medium" }), ` · ${duration(run.seconds)} · `, visible(run.baseUrl));
    byId("badge").textContent = run.exitCode === null ? "still running" : bad ? `ended with exit code ${run.exitCode}` : "ended well";
    byId("badge").classList.toggle("bad", bad);
    if (run.error) {
      byId("run-error").textContent = visible(run.error);
      byId("run-error").hidden = false;
    }
    const made = calls.reduce((sum, [, number]) => sum + number, 0);
    const limit = run.callLimit === null ? "no limit set" : `of ${whole.format(run.callLimit)} allowed`;
    const tile = (name, value, more, kind) => element("div", kind ? { class: kind } : {}, element("dt", {}, name), element("dd", {}, value, more ? element("small", {}, more) : null));
    byId("totals").append(
      tile("Delivered", whole.format(delivered), `of ${count(run.total, "task")}`),
      tile("Failed", whole.format(failed), failed ? "see the table" : "none", failed ? "bad" : ""),
      tile("Left for the next run", whole.format(left)),
      tile("Rows", whole.format(run.rows), run.seconds ? `${whole.format(Math.round(run.rows / run.seconds))} a second` : ""),
      tile("Data", bytes(run.deliveredBytes || run.collectedBytes), run.deliveredBytes && run.collectedBytes ? `from ${bytes(run.collectedBytes)} of answers` : ""),
      tile("API calls", whole.format(made), limit),
      tile("Most slots at once", whole.format(holdUp.maxSlots), `of ${whole.format(run.slots)}`),
    );
    byId("calls-total").textContent = `${whole.format(made)} in all, ${limit}; as Looker meters them: ${metered}`;
    const fill = (id, pairs) => byId(id).append(...pairs.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value))));
    fill("calls", calls.map(([name, number]) => [name, whole.format(number)]));
    fill("configuration", configuration);
    byId("hold-up").textContent = visible(holdUp.sentence);
    const tints = ["slots", "running", "collecting", "collected", "line"];
    holdUp.causes.forEach(([name, seconds], index) => {
      if (!seconds) return;
      const part = element("i"), mark = element("i");
      part.style.flexGrow = seconds;
      part.style.background = mark.style.background = `var(--${tints[index]})`;
      byId("share-bar").append(part);
      byId("shares").append(element("div", {}, element("dt", {}, mark, name), element("dd", {}, share(seconds), element("small", {}, ` ${duration(seconds)}`))));
    });
    byId("legend").append(...PHASES.map((phase, index) => {
      const mark = element("i");
      mark.style.background = `var(--${phase})`;
      return element("li", {}, mark, stages[index]);
    }));
  }

  // ---------------------------------------------------------------- charts

  const plots = [];
  let colors = {};
  function readColors() {
    const style = getComputedStyle(document.documentElement);
    colors = Object.fromEntries([...PHASES, "line", "soft", "ink", "bad", "accent"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  const clockOf = (seconds) => {
    const total = Math.round(seconds * 1000) / 1000, part = (n) => String(Math.floor(n)).padStart(2, "0");
    const text = `${Math.floor(total / 60) % 60}`, rest = total % 60;
    const second = Number.isInteger(rest) ? part(rest) : rest.toFixed(3).replace(/0+$/, "").padStart(4, "0");
    return total >= 3600 ? `${Math.floor(total / 3600)}:${text.padStart(2, "0")}:${second}` : `${text}:${second}`;
  };
  const font = () => `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = (more) => ({ stroke: colors.soft, font: font(), grid: { stroke: colors.line, width: 1 }, ticks: { show: false }, ...more });
  const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const timeAxis = () => axis({ incrs: STEPS, values: (_, splits) => splits.map(clockOf), space: 70, size: 30 });
  const end = Math.max(run.seconds, 0.001, ...tasks.length ? [tasks.reduce((most, task) => Math.max(most, task.end), 0)] : []);
  const NAMED = 60;
  const GUTTER = () => (innerWidth < 740 ? 44 : 150);

  function plot(id, height, options, data) {
    const place = byId(id);
    place.replaceChildren();
    const width = place.clientWidth;
    const chart = new uPlot({ width, height, padding: [6, 16, 0, 0], legend: { show: false }, ...options,
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: true }, sync: { key: "run" }, ...options.cursor },
      hooks: { ...options.hooks, setScale: [(u, key) => key === "x" && follow(u)] } }, data, place);
    plots.push(chart);
    return chart;
  }
  let isFollowing = false;
  function follow(source) {
    if (isFollowing) return;
    isFollowing = true;
    const { min, max } = source.scales.x;
    if (min !== null && max !== null) {
      for (const other of plots) if (other !== source) other.setScale("x", { min, max });
      byId("reset").hidden = min <= 0 && max >= end && (!timeline || (timeline.scales.y.min <= 0 && timeline.scales.y.max >= shownTasks.length));
    }
    isFollowing = false;
  }

  let timeline = null;
  const shownTasks = tasks.filter((task) => task.phases.length).sort((a, b) => a.work - b.work || a.end - b.end);
  function drawTimeline() {
    const n = Math.max(shownTasks.length, 1);
    const height = (n <= NAMED ? Math.max(n * (n <= 30 ? 20 : 15), 80) : 460) + 36;
    const draw = (u) => {
      const { ctx, bbox } = u, { min, max } = u.scales.y;
      const from = Math.max(0, Math.floor(min)), to = Math.min(shownTasks.length, Math.ceil(max));
      const high = bbox.height / (max - min), gap = high > 6 * devicePixelRatio ? high * 0.22 : 0;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (let row = from; row < to; row += 1) {
        const top = u.valToPos(row, "y", true) + gap / 2;
        for (const [phase, begin, last] of shownTasks[row].phases) {
          const x = u.valToPos(begin, "x", true);
          ctx.fillStyle = colors[PHASES[phase]];
          ctx.globalAlpha = phase === 0 ? 0.5 : 1;
          ctx.fillRect(x, top, Math.max(u.valToPos(last, "x", true) - x, last > begin ? 1 : 0), Math.max(high - gap, 1));
        }
        ctx.globalAlpha = 1;
        if (shownTasks[row].group === "failed") {
          ctx.fillStyle = colors.bad;
          ctx.fillRect(u.valToPos(shownTasks[row].end, "x", true), top, 3 * devicePixelRatio, Math.max(high - gap, 1));
        }
      }
      ctx.restore();
    };
    const labels = axis({ size: GUTTER(), grid: { show: false }, gap: 8,
      splits: (u, _, min, max) => {
        const most = Math.floor(u.bbox.height / devicePixelRatio / 14), places = [];
        const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((size) => (max - min) / size <= most) || 10000;
        for (let row = Math.max(0, Math.floor(min / step) * step); row < Math.min(max, shownTasks.length); row += step) {
          if (row >= min) places.push(row + 0.5);
        }
        return places;
      },
      values: (u, splits) => splits.map((place) => {
        const task = shownTasks[Math.floor(place)];
        if (!task || GUTTER() < 100 || splits.length < 2 || splits[1] - splits[0] > 1) return whole.format(Math.floor(place) + 1);
        return task.title.length > 19 ? `${task.title.slice(0, 18)}…` : task.title;
      }) });
    const tip = element("div", { class: "tip" });
    tip.hidden = true;
    timeline = plot("timeline", height, {
      scales: { x: { time: false, range: (_, min, max) => [min, max] }, y: { dir: -1, range: (_, min, max) => (min === null ? [0, n] : [min, max]) } },
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      axes: [timeAxis(), labels],
      cursor: { y: true, drag: { x: true, y: n > NAMED, uni: 30, setScale: true } },
      hooks: { draw: [draw], setCursor: [(u) => showTip(u, tip)] },
    }, [[0, end], [0, n]]);
    timeline.over.append(tip);
    timeline.over.addEventListener("click", () => {
      const task = taskUnder(timeline);
      if (task && timeline.select.width === 0) show({ search: task.id || task.title, group: "", page: 0 });
    });
  }
  function taskUnder(u) {
    const { left: x, top } = u.cursor;
    return x === undefined || x < 0 || top < 0 ? null : shownTasks[Math.floor(u.posToVal(top, "y"))] || null;
  }
  function describePhases(task) {
    return task.phases.filter(([, begin, last]) => last > begin).map(([phase, begin, last]) => `${stages[phase]} ${duration(last - begin)}`).join(", ");
  }
  function showTip(u, tip) {
    const task = u.cursor.event ? taskUnder(u) : null;
    tip.hidden = !task;
    if (!task) return;
    tip.replaceChildren(element("b", {}, task.title), describePhases(task), element("br"), task.status && task.status !== task.ended ? `${task.ended} · ${task.status}` : task.ended);
    const { left: x, top } = u.cursor, wide = u.over.clientWidth;
    tip.style.left = x > wide / 2 ? "" : `${x + 14}px`;
    tip.style.right = x > wide / 2 ? `${wide - x + 14}px` : "";
    tip.style.top = `${Math.min(top + 10, u.over.clientHeight - 20)}px`;
  }

  function drawLoad() {
    const stacked = [], sum = load.moments.map(() => 0);
    for (const counts of load.tasks.slice(1)) {
      counts.forEach((value, index) => { sum[index] += value; });
      stacked.push([...sum]);
    }
    // The highest stack is drawn first, those below it over it.
    const order = [4, 3, 2, 1];
    plot("load", 170, {
      scales: { x: { time: false, range: (_, min, max) => [min, max] }, y: { range: (_, min, max) => [0, Math.max(max, 1)] } },
      series: [{}, ...order.map((phase) => ({ stroke: colors[PHASES[phase]], fill: colors[PHASES[phase]], width: 0, points: { show: false } }))],
      axes: [timeAxis(), axis({ size: GUTTER(), space: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] })],
    }, withEnds(order.map((phase) => stacked[phase - 1])));
  }
  function withEnds(series) {
    return [[0, ...load.moments, end], ...series.map((values) => [values[0], ...values, values[values.length - 1]])];
  }
  function drawSlots() {
    byId("slots-title").textContent = `Slots in use in Looker: ${holdUp.maxSlots} of ${run.slots} at most`;
    plot("slots", 120, {
      scales: { x: { time: false, range: (_, min, max) => [min, max] }, y: { range: () => [0, Math.max(holdUp.maxSlots, run.slots, 1) * 1.08] } },
      series: [{}, { stroke: colors.running, fill: `color-mix(in srgb, ${colors.running} 25%, transparent)`, width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
        { stroke: colors.soft, width: 1, dash: [4, 4], points: { show: false } }],
      axes: [timeAxis(), axis({ size: GUTTER(), space: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] })],
    }, [...withEnds([load.slots]), [0, ...load.moments, end].map(() => run.slots)]);
  }
  function drawCharts() {
    plots.splice(0).forEach((chart) => chart.destroy());
    readColors();
    drawTimeline();
    drawLoad();
    drawSlots();
    byId("reset").hidden = true;
  }
  byId("reset").addEventListener("click", drawCharts);

  // ---------------------------------------------------------------- table

  const text = (value) => (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
  const number = (value) => (a, b) => value(a) - value(b);
  const known = (value) => (value === null || value === undefined ? -1 : value);
  const columns = [
    { name: "Task", compare: text((t) => t.title), cell: nameCell },
    { name: "Status", compare: text((t) => t.order), cell: statusCell },
    { name: "Rows", compare: number((t) => t.rowCount), big: true, cell: (t) => numberCell("Rows", whole.format(t.rowCount)) },
    { name: "Size", compare: number((t) => t.size), big: true, cell: (t) => numberCell("Size", t.size ? bytes(t.size) : "") },
    { name: "Runtime", compare: number((t) => known(t.runtime)), big: true, cell: (t) => numberCell("Runtime", duration(t.runtime)) },
    { name: "In the run", compare: number((t) => t.end - t.begin), big: true, cell: (t) => numberCell("In the run", duration(t.end - t.begin)) },
    { name: "Attempt", compare: number((t) => t.attempt), big: true, cell: (t) => numberCell("Attempt", String(t.attempt)) },
    { name: "Timeline", compare: (a, b) => a.work - b.work || a.end - b.end, cell: barCell },
  ];
  const view = { search: "", group: "", page: 0, column: 7, descending: false };
  let matching = tasks;

  // The whole address of a page in Looker; nothing for what is no address of a page.
  function addressOf(link) {
    try {
      const address = new URL(link, `${run.baseUrl}/`);
      return /^https?:$/.test(address.protocol) ? address.href : null;
    } catch {
      return null;
    }
  }
  function nameCell(task) {
    const address = task.link && addressOf(task.link);
    const title = address
      ? element("a", { href: address, target: "_blank", rel: "noopener noreferrer", title: "Open the query in Looker" }, element("bdi", {}, task.title))
      : element("bdi", {}, task.title);
    const ids = [task.id && !task.title.includes(task.id) ? task.id : null, task.queryId ? `query ${task.queryId}` : null].filter(Boolean).join(" · ");
    return element("td", { class: "name" }, title, ids ? element("small", {}, ids) : null);
  }
  function statusCell(task) {
    const kind = task.group === "delivered" ? "good" : task.group === "failed" ? "bad" : "wait";
    const more = task.status && task.status !== "complete" && task.status !== task.ended ? element("small", {}, ` ${task.status}`) : null;
    return element("td", { class: "state" }, element("span", { class: `status ${kind}` }, task.ended, more));
  }
  const numberCell = (name, value) => (value === "" ? element("td", { class: "number" }) : element("td", { class: "number", "data-name": name }, value));
  function barCell(task) {
    const track = element("div", { class: "track", role: "img", title: describePhases(task), "aria-label": describePhases(task) });
    for (const [phase, begin, last] of task.phases) {
      if (last <= begin) continue;
      const part = element("i");
      part.style.left = `${(100 * begin) / end}%`;
      part.style.width = `${(100 * (last - begin)) / end}%`;
      part.style.background = `var(--${PHASES[phase]})`;
      track.append(part);
    }
    return element("td", { class: "bar" }, track);
  }
  function rowsOf(task) {
    const row = element("tr", {}, ...columns.map((column) => column.cell(task)));
    if (!task.error) return [row];
    row.className = "has-error";
    return [row, element("tr", { class: "error" }, element("td", { colspan: String(columns.length) }, errorText(task)))];
  }
  function errorText(task) {
    const full = visible(task.error), [line] = full.split("\n", 1);
    if (line === full && full.length <= 200) return element("p", {}, full);
    const details = element("details", {}, element("summary", {}, line.length > 200 ? `${line.slice(0, 199)}…` : line), element("pre", {}, full));
    details.open = isPrinting;
    return details;
  }

  function select() {
    const wanted = view.search.trim().toLowerCase();
    matching = tasks.filter((task) => (!view.group || task.group === view.group) && (!wanted || task.words.includes(wanted)));
    const { compare } = columns[view.column], sign = view.descending ? -1 : 1;
    matching.sort((a, b) => sign * compare(a, b) || a.index - b.index);
  }
  let isPrinting = false;
  function drawRows() {
    const pages = Math.max(1, Math.ceil(matching.length / PAGE));
    view.page = Math.min(view.page, pages - 1);
    const first = isPrinting ? 0 : view.page * PAGE, part = isPrinting ? matching : matching.slice(first, first + PAGE);
    const body = byId("table").tBodies[0];
    body.replaceChildren(...part.flatMap(rowsOf));
    if (!part.length) body.append(element("tr", {}, element("td", { class: "empty", colspan: String(columns.length) }, "No task matches.")));
    byId("shown").textContent = matching.length === tasks.length && pages === 1 ? count(tasks.length, "task")
      : `${whole.format(first + (part.length ? 1 : 0))} to ${whole.format(first + part.length)} of ${count(matching.length, "task")}`;
    byId("pages").hidden = pages === 1;
    byId("pages").replaceChildren(turn("Previous", view.page - 1, view.page === 0), element("span", { class: "quiet" }, `Page ${view.page + 1} of ${whole.format(pages)}`), turn("Next", view.page + 1, view.page === pages - 1));
  }
  function turn(name, page, isOff) {
    const button = element("button", { type: "button" }, name);
    button.disabled = isOff;
    button.addEventListener("click", () => { show({ page }); byId("tasks").scrollIntoView(); byId("tasks").focus({ preventScroll: true }); });
    return button;
  }
  const heads = columns.map((column, index) => {
    const button = element("button", { type: "button" }, column.name);
    button.addEventListener("click", () => show({ column: index, descending: view.column === index ? !view.descending : Boolean(column.big), page: 0 }));
    return element("th", { scope: "col", class: column.big ? "number" : null }, button);
  });
  byId("table").tHead.rows[0].append(...heads);
  const names = ["failed", "left for the next run", ...[...groups.keys()].filter((g) => !["failed", "left for the next run", "delivered"].includes(g)).sort(), "delivered"];
  const chips = [["all", "", tasks.length], ...names.filter((g) => groups.has(g)).map((g) => [g, g, groups.get(g)])].map(([name, group, number]) => {
    const button = element("button", { type: "button" }, `${name} `, element("span", {}, whole.format(number)));
    button.addEventListener("click", () => show({ group, page: 0 }));
    return { button, group };
  });
  byId("filters").append(...chips.map(({ button }) => button));
  function markChoices() {
    heads.forEach((head, index) => {
      if (index === view.column) head.setAttribute("aria-sort", view.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    for (const { button, group } of chips) button.setAttribute("aria-pressed", String(view.group === group));
  }
  function show(change) {
    Object.assign(view, change);
    if (byId("search").value !== view.search) byId("search").value = view.search;
    select();
    markChoices();
    drawRows();
  }
  byId("search").addEventListener("input", (event) => show({ search: event.target.value, page: 0 }));

  // ---------------------------------------------------------------- page

  describeRun();
  show({});
  drawCharts();
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawCharts(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
  const print = (on) => {
    isPrinting = on;
    document.documentElement.classList.toggle("paper", on);
    drawCharts();
    drawRows();
  };
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
