#!/bin/sh
# Makes the smallest image there is in the folder $1, as an OCI layout for skopeo: `oci:FOLDER:latest`.
# $2 is written into it, so that another text is another digest.
set -eu
folder=$1 note=${2:-empty}
mkdir -p "$folder/blobs/sha256"
cd "$folder"

# Stores standard input as a blob; prints its digest and size as a descriptor has them.
blob() {
    cat > blob
    digest=$(sha256sum blob | cut -d' ' -f1)
    printf '"digest":"sha256:%s","size":%s' "$digest" "$(wc -c < blob)"
    mv blob "blobs/sha256/$digest"
}
media=application/vnd.oci.image

layer=$(head -c 1024 /dev/zero | gzip -n | blob)
diff=$(head -c 1024 /dev/zero | sha256sum | cut -d' ' -f1)
config=$(printf '{"architecture":"amd64","os":"linux","author":"%s","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$note" "$diff" | blob)
manifest=$(printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json",%s},"layers":[{"mediaType":"%s.layer.v1.tar+gzip",%s}]}' \
    $media $media "$config" $media "$layer" | blob)
printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s.manifest.v1+json",%s,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' \
    $media "$manifest" > index.json
printf '{"imageLayoutVersion":"1.0.0"}' > oci-layout
