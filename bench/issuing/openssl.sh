# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Issue peer certificates by a loop of openssl, as in many a tutorial. openssl.sh COUNT CA_FOLDER FOLDER
set -eu
count=$1 ca=$2 folder=$3
number=0
while [ "$number" -lt "$count" ]; do
  number=$((number + 1))
  name=member-$number
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/$name.key"
  openssl req -new -key "$folder/$name.key" -subj "/CN=$name.example.com" -out "$folder/$name.csr"
  cat > "$folder/$name.ext" <<EOF
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:$name.example.com, DNS:localhost, IP:10.1.0.1, IP:127.0.0.1, IP:::1
EOF
  openssl x509 -req -in "$folder/$name.csr" -CA "$ca/ca.crt" -CAkey "$ca/ca.key" -days 365 -sha256 \
    -extfile "$folder/$name.ext" -out "$folder/$name.crt" 2> /dev/null
done
