"use strict";
(() => {
  const told = JSON.parse(document.getElementById("told").textContent);
  const form = document.getElementById("filters");
  const fields = ["corpus", "class", "split", "find"];
  const minus = (value, digits) => value.toFixed(digits).replace("-", "\u2212");

  const fits = {
    corpus: (sample, wanted) => sample.corpus === wanted,
    class: (sample, wanted) => {
      const [column, ...name] = wanted.split(":");
      return sample[column] === name.join(":");
    },
    split: (sample, wanted) => sample.split === wanted,
    find: (sample, wanted) => sample.id.toLowerCase().includes(wanted.toLowerCase()),
  };
  const wanted = () => Object.fromEntries(fields.map((name) => [name, form.elements[name].value.trim()]));
  const passes = (sample, state, except) =>
    fields.every((name) => name === except || !state[name] || fits[name](sample, state[name]));

  // The cards. Pictures and sounds are put in when a card comes near the window.
  const make = (name) => document.getElementById(name).content.firstElementChild.cloneNode(true);
  const span = (text) => Object.assign(document.createElement("span"), { textContent: text });

  const fill = (card) => {
    if (card.filled) return;
    card.filled = true;
    const media = JSON.parse(document.getElementById(`media-${card.number}`).textContent);
    card.querySelector("img").src = `data:image/png;base64,${media.picture}`;
    card.querySelector("audio").src = `data:audio/flac;base64,${media.audio}`;
  };
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      near.unobserve(entry.target);
      fill(entry.target);
    }),
    { rootMargin: "600px" },
  );

  const follow = (card, audio) => {
    const line = card.querySelector("i");
    const step = () => {
      if (audio.duration) line.style.left = `${(100 * audio.currentTime) / audio.duration}%`;
      if (!audio.paused) requestAnimationFrame(step);
    };
    audio.addEventListener("play", () => {
      document.querySelectorAll("audio").forEach((other) => other !== audio && other.pause());
      card.classList.add("playing");
      step();
    });
    audio.addEventListener("seeked", step);
    audio.addEventListener("ended", () => card.classList.remove("playing"));
    card.querySelector(".picture").addEventListener("click", (event) => {
      if (!audio.duration) return;
      audio.currentTime = (audio.duration * event.offsetX) / event.currentTarget.clientWidth;
      audio.play();
    });
  };

  const card = (sample, number) => {
    const made = make("card");
    made.number = number;
    made.querySelector("h4").textContent = sample.label;
    if (sample.emotion && sample.emotion !== sample.label) {
      made.querySelector("h4").append(" ", span(`emotion: ${sample.emotion}`));
    }
    const pill = made.querySelector(".pill");
    pill.textContent = sample.split;
    pill.classList.add(sample.split);
    made.querySelector("img").alt = `Spectrogram of ${sample.id}`;
    for (const [place, name] of told.hertz) {
      const mark = made.querySelector(".hertz").appendChild(span(name));
      mark.style.top = `${100 * (1 - place)}%`;
    }
    const step = sample.shown < 1 ? 0.2 : sample.shown < 2.5 ? 0.5 : 1;
    for (let mark = 0; mark * step < sample.shown * 0.97; mark += 1) {
      const second = made.querySelector(".seconds").appendChild(span(+(mark * step).toFixed(1) + (mark ? "" : " s")));
      second.style.left = `${(100 * mark * step) / sample.shown}%`;
    }
    const audio = made.querySelector("audio");
    audio.setAttribute("aria-label", `${sample.id}, ${sample.label}`);
    follow(made, audio);
    const said = made.querySelector(".said");
    if (sample.text) {
      said.textContent = sample.text;
      if (sample.language) said.lang = sample.language;
    } else said.remove();
    const cut = sample.shown < sample.seconds ? `; here the first ${sample.shown.toFixed(1)} s` : "";
    const facts = {
      id: sample.id,
      code: sample.raw,
      speaker: [sample.speaker, sample.gender].filter(Boolean).join(", "),
      duration: `${sample.seconds.toFixed(2)} s${cut}`,
      level: `${minus(sample.level, 1)} dBFS, peak ${minus(sample.peak, 1)}`,
    };
    for (const [name, value] of Object.entries(facts)) {
      if (!value) continue;
      made.querySelector("dl").append(
        Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: value }),
      );
    }
    near.observe(made);
    return made;
  };

  const groups = new Map();
  const cards = told.samples.map((sample, number) => {
    if (!groups.has(sample.corpus)) {
      const group = make("group");
      group.querySelector("h3").append(sample.corpus, " ", span(""));
      document.getElementById("groups").append(group);
      groups.set(sample.corpus, group);
    }
    const made = card(sample, number);
    groups.get(sample.corpus).querySelector(".cards").append(made);
    return made;
  });

  // The choices of each filter, with the number of samples that each would leave.
  const option = (value, name) => Object.assign(new Option(name, value), { told: name });
  const found = (column) => [...new Set(told.samples.map((s) => s[column]).filter(Boolean))];
  form.elements.corpus.append(option("", "all"), ...found("corpus").map((name) => option(name, name)));
  form.elements.split.append(option("", "all"), ...told.splits.map((name) => option(name, name)));
  form.elements.class.append(option("", "all"));
  for (const [column, title] of [["label", "Class of the corpus"], ["emotion", "Emotion, shared by corpora"]]) {
    const group = Object.assign(document.createElement("optgroup"), { label: title });
    group.append(...found(column).sort().map((name) => option(`${column}:${name}`, name)));
    if (group.children.length) form.elements.class.append(group);
  }

  const dim = (selector, keep) =>
    document.querySelectorAll(selector).forEach((element) => element.classList.toggle("dim", !keep(element)));
  const hasClass = (row, state) => !state.class || fits.class(row.dataset, state.class);

  const show = () => {
    const state = wanted();
    let visible = 0;
    const counts = new Map();
    told.samples.forEach((sample, number) => {
      const keep = passes(sample, state);
      cards[number].hidden = !keep;
      if (!keep) cards[number].querySelector("audio").pause();
      visible += keep;
      counts.set(sample.corpus, (counts.get(sample.corpus) || 0) + keep);
    });
    for (const [corpus, group] of groups) {
      const count = counts.get(corpus);
      group.hidden = !count;
      group.querySelector("h3 span").textContent = count === 1 ? "1 sample" : `${count} samples`;
    }
    document.getElementById("count").textContent = `${visible} of ${cards.length} samples`;
    document.getElementById("nothing").hidden = visible > 0 || !cards.length;
    for (const name of fields) form.elements[name].classList.toggle("filtered", Boolean(state[name]));
    for (const name of ["corpus", "class", "split"]) {
      const left = told.samples.filter((sample) => passes(sample, state, name));
      for (const choice of form.elements[name].options) {
        const count = choice.value ? left.filter((sample) => fits[name](sample, choice.value)).length : left.length;
        choice.textContent = `${choice.told} (${count})`;
        choice.disabled = !count && !choice.selected && choice.value !== "";
      }
    }
    // What the filters leave out is dimmed in the tables too.
    const inside = (element) => !state.corpus || element.dataset.corpus === state.corpus;
    const rows = (corpus) => [...document.querySelectorAll("tr[data-label]")].filter((row) => row.dataset.corpus === corpus);
    const holds = (element) => inside(element) && rows(element.dataset.corpus).some((row) => hasClass(row, state));
    dim("#overview tr[data-corpus]", holds);
    dim("details[data-corpus]", holds);
    dim("tr[data-label]", (row) => !inside(row) || hasClass(row, state));
    const active = fields.some((name) => state[name]);
    form.querySelector("button").disabled = !active;
    return state;
  };

  // The address keeps the filters: a page can be reloaded, or linked to, as it is.
  const remember = (state) => {
    const kept = new URLSearchParams(Object.entries(state).filter(([, value]) => value)).toString();
    if (kept !== location.hash.slice(1) && (kept || location.hash.includes("="))) {
      history.replaceState(null, "", kept ? `#${kept}` : location.pathname + location.search);
    }
  };
  const recall = () => {
    if (location.hash && !location.hash.includes("=")) return;
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) {
      const field = form.elements[name];
      const value = kept.get(name) || "";
      const known = !field.options || [...field.options].some((choice) => choice.value === value);
      field.value = known ? value : "";
    }
  };
  form.addEventListener("input", () => remember(show()));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => remember(show())));
  addEventListener("hashchange", () => { recall(); show(); });
  document.querySelectorAll("a[data-corpus]").forEach((link) => link.addEventListener("click", () => {
    form.reset();
    form.elements.corpus.value = link.dataset.corpus;
    setTimeout(() => remember(show()));
  }));
  document.querySelectorAll('a[href^="#corpus-"]').forEach((link) => link.addEventListener("click", () => {
    document.getElementById(link.hash.slice(1)).open = true;
  }));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
    cards.filter((made) => !made.hidden).forEach(fill);
  });

  form.hidden = !cards.length;
  recall();
  show();
})();
